import { testSample } from './sample.ts'

testSample('mutants', { needs: 'strace', limitMs: 900_000 })
