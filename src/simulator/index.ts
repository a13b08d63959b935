/* The one door for demo and tests; inside, files import each other directly. */
export { type Cluster, startCluster } from './cluster.ts'
export { appliance, type Changes, endsAs, polls, say, shownInList, vary } from './compose.ts'
export { fault } from './faults.ts'
export { createHostKey, type HostKey } from './host-key.ts'
export { type EntryOf, Ledger, type LedgerEntry, readLedger } from './ledger.ts'
export type { Fault, Mishap, Phase, Scenario, ServiceState } from './scenario.ts'
export { rows, scenarios } from './scenarios/all.ts'
export { type Simulator, type SimulatorOptions, startSimulator } from './simulator.ts'
