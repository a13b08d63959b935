import { testSample } from './sample.ts'

testSample('histories')
