import { testSample } from './sample.ts'

testSample('race')
