/** A bug that somebody could write, and the rig that must notice it. */
export interface Mutant {
  readonly name: string
  /** Each `find` must be in its file exactly once: a mutant that no longer fits is an error, not a bug that was caught. */
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[]
  readonly caughtBy: {
    readonly rig: string
    readonly cases: number
    readonly only?: string
    /** The rig runs the sources in its own process, and not a daemon. */
    readonly isInProcess?: true
  }
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'acknowledges before the commit',
    edits: [
      {
        file: 'src/daemon/store/store.ts',
        find: `      failpoint('write.begin')
      const result = this.#db
        .transaction(() => {
          const result = work()
          inside = false
          failpoint('write.commit')
          return result
        })
        .immediate()`,
        replace: `      if (this.#db.inTransaction) return work()
      this.#db.exec('BEGIN IMMEDIATE')
      const result = work()
      inside = false
      setTimeout(() => this.#db.open && this.#db.exec('COMMIT'), 20)`,
      },
    ],
    caughtBy: { rig: 'kills', cases: 4, only: 'restart reply.after#' },
  },
  {
    name: 'sends before the commit',
    edits: [
      {
        file: 'src/core/recipes/service-restart.ts',
        find: `  operation = yield { type: 'dispatching', command }
  const observations = device.commit()[Symbol.asyncIterator]()
`,
        replace: `  const observations = device.commit()[Symbol.asyncIterator]()
  await observations.next()
  operation = yield { type: 'dispatching', command }
`,
      },
    ],
    caughtBy: { rig: 'kills', cases: 2, only: 'restart event.dispatching#1$' },
  },
  {
    name: 'sends again after it was reconnected',
    edits: [
      {
        file: 'src/core/recipes/reconcile.ts',
        find: '      return yield* confirm(device, operation, isOurs)\n',
        replace: `      await device.prepare(operation.service ?? '')
      device.arm()
      for await (const _ of device.commit()) continue
      return yield* confirm(device, operation, isOurs)
`,
      },
    ],
    caughtBy: { rig: 'kills', cases: 0, only: 'lost link$' },
  },
  {
    name: 'goes on with what was connecting',
    edits: [
      {
        file: 'src/daemon/manager.ts',
        find: "const fresh = operation.phase === 'accepted' && age",
        replace: "const fresh = ['accepted', 'connecting'].includes(operation.phase) && age",
      },
      {
        file: 'src/daemon/manager.ts',
        find: "        .filter(({ phase }) => phase === 'accepted')\n        .map(({ id }) => id),",
        replace: `        .filter(({ phase }) => phase === 'accepted' || phase === 'connecting')
        .map(({ id }) => id),`,
      },
      {
        file: 'src/daemon/manager.ts',
        find: "      if (operation?.phase !== 'accepted' || this.#running.has(id)) continue",
        replace: '      if (!operation || this.#running.has(id)) continue',
      },
      {
        file: 'src/core/operation.ts',
        find: "  connecting: ['ready', 'settled'],",
        replace: "  connecting: ['connecting', 'ready', 'settled'],",
      },
    ],
    caughtBy: { rig: 'kills', cases: 1, only: 'restart connect.after#1$' },
  },
  {
    name: 'keeps a login hold in memory only',
    edits: [
      {
        file: 'src/daemon/store/operations.ts',
        find: `    this.#db
      .prepare('INSERT OR REPLACE INTO login_holds VALUES (?, ?, ?, ?, ?)')
      .run(device, username, hold.since, hold.operationId, hold.message)`,
        replace: '    void [device, username, hold]',
      },
    ],
    caughtBy: { rig: 'kills', cases: 0, only: 'batch with strangers$' },
  },
  {
    name: 'tries every way to log in, as the library does by itself',
    edits: [
      {
        file: 'src/daemon/ssh/authentication.ts',
        find: `      this.#state = 'done'
      // With an agent`,
        replace: `      const again = this.#secret
      this.#secret = ''
      if (again) return void next({ type: 'password', username: this.#username, password: again })
      // With an agent`,
      },
      {
        file: 'src/daemon/ssh/authentication.ts',
        find: '  #link: Link | null = null\n',
        replace: "  #link: Link | null = null\n  #secret = ''\n",
      },
      {
        file: 'src/daemon/ssh/authentication.ts',
        find: '    const proof = this.#proof(secret, method)\n',
        replace:
          "    const proof = this.#proof(secret, method)\n    if (secret.type === 'password') this.#secret = secret.password\n",
      },
    ],
    caughtBy: { rig: 'kills', cases: 0, only: 'batch with strangers$' },
  },
  {
    name: 'accepts any host key',
    edits: [
      {
        file: 'src/daemon/ssh/link.ts',
        find: 'if (pinned && !isSameHostKey(pinned, offered)) {',
        replace: 'if (pinned && !isSameHostKey(pinned, offered) && pinned.type === "") {',
      },
    ],
    caughtBy: { rig: 'kills', cases: 0, only: 'batch with strangers$' },
  },
  {
    name: 'has no unique index for its claims',
    edits: [
      {
        file: 'src/daemon/store/migrations.ts',
        find: 'CREATE UNIQUE INDEX active_operations_claim',
        replace: 'CREATE INDEX active_operations_claim',
      },
    ],
    caughtBy: { rig: 'kills', cases: 0, only: 'first steps$' },
  },
  {
    name: 'takes STARTED for success',
    edits: [
      {
        file: 'src/core/recipes/confirm.ts',
        find: "if (now.state === 'STARTED' && before === undefined && isProven(operation)) {",
        replace: "if (now.state === 'STARTED' && before === undefined) {",
      },
      {
        file: 'src/core/operation.ts',
        find: "completed: isLook(operation) ? operation.phase === 'ready' : sent && isProven(operation),",
        replace: "completed: isLook(operation) ? operation.phase === 'ready' : sent,",
      },
    ],
    caughtBy: { rig: 'kills', cases: 0, only: 'lost link, nothing happened$' },
  },
  {
    name: 'lets one field of the device through as it comes',
    edits: [
      {
        file: 'src/daemon/ssh/link.ts',
        find: 'this.#ident = oneLine(line, 255)',
        replace: 'this.#ident = line',
      },
    ],
    caughtBy: { rig: 'kills', cases: 0, only: 'hostile device$' },
  },
  {
    name: 'tells a password in one error',
    edits: [
      {
        // Errors are masked on their way out, too.
        file: 'src/core/masks.ts',
        find: '  for (const form of longestFirst) text',
        replace: '  for (const form of [] as string[]) text',
      },
      {
        file: 'src/daemon/ssh/authentication.ts',
        find: "    if (method === 'password') return",
        replace:
          "    this.#username += secret.type === 'password' ? secret.password : ''\n    if (method === 'password') return",
      },
      {
        file: 'src/daemon/ssh/authentication.ts',
        find: '  readonly #username: string\n',
        replace: '  #username: string\n',
      },
      {
        file: 'src/daemon/ssh/authentication.ts',
        find: '    const username = this.#username\n',
        replace: '    const username = String(this.#username)\n',
      },
    ],
    caughtBy: { rig: 'kills', cases: 0, only: 'batch with strangers$' },
  },
  {
    name: 'goes on after a write has failed',
    edits: [
      {
        file: 'src/daemon/store/store.ts',
        find: '      if (!isBusy(error)) this.#fail(error as Error)\n',
        replace: '      void isBusy\n',
      },
    ],
    caughtBy: { rig: 'syscalls', cases: 1, only: 'restart fsync#20 EIO' },
  },
  {
    name: 'does not wait for the disk (synchronous=NORMAL)',
    edits: [
      {
        file: 'src/daemon/store/database.ts',
        find: "    db.pragma('synchronous = FULL')\n    db.pragma('foreign_keys",
        replace: "    db.pragma('synchronous = NORMAL')\n    db.pragma('foreign_keys",
      },
      { file: 'src/daemon/store/database.ts', find: ' || synchronous !== 2', replace: '' },
    ],
    caughtBy: { rig: 'power', cases: 120, only: '^restart$' },
  },
  {
    name: 'makes an empty database where one was',
    edits: [
      {
        file: 'src/daemon/store/database.ts',
        find: "  if (stat.size === 0) refuse('is empty where a database was', restore)",
        replace: `  if (stat.size === 0) {
    for (const suffix of ['', '-wal']) fs.rmSync(file + suffix, { force: true })
    return createDatabase(file)
  }`,
      },
    ],
    caughtBy: { rig: 'fuzz-database', cases: 60, isInProcess: true },
  },
  {
    name: 'does not hear that a connection was closed',
    edits: [
      {
        file: 'src/daemon/ssh/link.ts',
        find: `      .on('end', () => this.#endBy({ type: 'closed' }))
      .on('close', () => this.#endBy({ type: 'closed' }))
`,
        replace: '',
      },
    ],
    caughtBy: { rig: 'freezes', cases: 20 },
  },
  {
    name: 'sends late, after it was paused',
    edits: [
      {
        file: 'src/daemon/devices/vos/device.ts',
        find: '        if (isTooLate(armed, readClocks())) throw wokeUpLate(connection.name)\n',
        replace: '        void [isTooLate, armed, readClocks, wokeUpLate]\n',
      },
    ],
    caughtBy: { rig: 'pauses', cases: 6 },
  },
  {
    name: 'counts a time limit by the wall clock',
    edits: [
      {
        file: 'src/daemon/manager.ts',
        find: "const deadline = setTimeout(() => abort.abort(new VosError('deadline', message)), operation.deadlineMs)",
        replace: `const since = this.#now()
    const deadline = setInterval(() => {
      if (this.#now() - since > operation.deadlineMs) abort.abort(new VosError('deadline', message))
    }, 20)`,
      },
    ],
    caughtBy: { rig: 'clocks', cases: 8 },
  },
  {
    name: 'queues for a slow watcher without bound',
    edits: [
      {
        file: 'src/daemon/feed.ts',
        find: '        await send({ events })\n',
        replace: '        void send({ events })\n',
      },
      { file: 'src/daemon/feed.ts', find: 'if (this.#cursor - place > FAR_BEHIND) {', replace: 'if (place < 0) {' },
    ],
    caughtBy: { rig: 'watchers', cases: 6, isInProcess: true },
  },
  {
    name: 'takes the socket before it holds the lock',
    edits: [
      {
        file: 'src/daemon/main.ts',
        find: '  prepareStateDirectory(paths, group)\n',
        replace: '  prepareStateDirectory(paths, group)\n  fs.rmSync(paths.socket, { force: true })\n',
      },
    ],
    caughtBy: { rig: 'race', cases: 1 },
  },
  {
    name: 'begins beside the operation that it was queued after',
    edits: [
      {
        file: 'src/daemon/manager.ts',
        find: '      else if (!this.#isInLine(operation)) this.#start(operation)\n',
        replace: '      else this.#start(operation)\n',
      },
    ],
    caughtBy: { rig: 'histories', cases: 50, isInProcess: true },
  },
]
