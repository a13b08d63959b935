import { testSample } from './sample.ts'

testSample('kills')
