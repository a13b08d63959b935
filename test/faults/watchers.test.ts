import { testSample } from './sample.ts'

testSample('watchers')
