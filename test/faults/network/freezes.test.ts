import { testSample } from '../sample.ts'

testSample('freezes')
