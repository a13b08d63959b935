import { testSample } from './sample.ts'

testSample('fuzz-socket')
