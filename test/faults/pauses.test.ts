import { testSample } from './sample.ts'

testSample('pauses')
