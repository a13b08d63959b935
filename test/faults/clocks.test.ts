import { testSample } from './sample.ts'

testSample('clocks')
