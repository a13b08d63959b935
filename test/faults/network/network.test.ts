import { testSample } from '../sample.ts'

testSample('network')
