import { testSample } from './sample.ts'

testSample('crowd')
