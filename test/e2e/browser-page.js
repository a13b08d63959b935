/* What the pages of browser.test.ts do; it runs in a browser. */

const settled = (promise, ms = 5000) =>
  Promise.race([promise, new Promise((resolve) => setTimeout(() => resolve('silence'), ms))])

/** Starts a restart and follows it; body.dataset says what was seen. A token that may only read tries first. */
globalThis.follow = async function follow(door, { full, read }, protocol) {
  const connect = (token) =>
    io(door, { transports: ['websocket'], auth: { token, protocol, version: 'page' }, forceNew: true })
  const request = (connectionId) => ({
    requestId: crypto.randomUUID?.() ?? '00000000-0000-4000-8000-000000000000',
    operationType: 'service_restart',
    connectionIds: [connectionId],
    createdBy: 'root',
  })
  const watcher = connect(read)
  const { value: connections } = await watcher.emitWithAck('connection:list', {})
  const { id } = connections.find(({ name }) => name === 'cucm-pub')
  const refused = await watcher.emitWithAck('operation:start', request(id))

  const seqs = []
  const phases = []
  watcher.on('events', ({ events }, acknowledge) => {
    for (const { operationId, seq, event } of events) {
      if (!operationId.startsWith('r-')) continue
      seqs.push(seq)
      if (['connecting', 'ready', 'dispatching', 'stopping', 'starting', 'verifying'].includes(event.type))
        phases.push(event.type)
      if (event.type !== 'settled') continue
      document.body.dataset.seqs = seqs.join(' ')
      document.body.dataset.phases = phases.join(' ')
      document.body.dataset.status = event.status
    }
    acknowledge()
  })
  await watcher.emitWithAck('subscribe', { room: 'operations' })
  const { value, error } = await connect(full).emitWithAck('operation:start', request(id))
  return { refused, operation: value?.operations[0] ?? error }
}

/** Everything that a page can try; what it saw of each try. */
globalThis.attack = async function attack(door, token, protocol) {
  const status = (response) => (response.type === 'opaque' ? 'opaque' : String(response.status))
  const ask = (path, options) => fetch(door + path, options).then(status, () => 'error')
  const element = (name, attribute, path) =>
    new Promise((resolve) => {
      const made = document.createElement(name)
      made.addEventListener('load', () => resolve('load'))
      made.addEventListener('error', () => resolve('error'))
      made[attribute] = door + path
      document.body.append(made)
    })
  const tries = {
    fetch: () => ask('/healthz'),
    'bearer fetch': () => ask('/healthz', { headers: { Authorization: `Bearer ${token}` } }),
    post: () =>
      ask('/api/connections/1/restart', {
        method: 'POST',
        mode: location.origin === door ? 'cors' : 'no-cors',
        headers: { 'Content-Type': 'text/plain' },
        body: JSON.stringify({ requestId: '00000000-0000-4000-8000-000000000001' }),
      }),
    websocket: () =>
      new Promise((resolve) => {
        const socket = new WebSocket(`${door.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`)
        socket.addEventListener('open', () => resolve('open'))
        socket.addEventListener('error', () => resolve('error'))
      }),
    socket: () =>
      new Promise((resolve) => {
        const auth = { token, protocol, version: 'page' }
        const options = {
          transports: ['websocket', 'polling'],
          tryAllTransports: true,
          reconnection: false,
          forceNew: true,
        }
        const extraHeaders = { Authorization: `Bearer ${token}` }
        io(door, { ...options, auth, transportOptions: { polling: { extraHeaders } } })
          .on('connect', () => resolve('connected'))
          .on('connect_error', () => resolve('error'))
      }),
    image: () => element('img', 'src', '/metrics'),
    script: () => element('script', 'src', '/api/operations/last'),
    events: () =>
      new Promise((resolve) => {
        const source = new EventSource(`${door}/socket.io/?EIO=4&transport=polling`)
        source.addEventListener('open', () => resolve('open'))
        source.addEventListener('error', () => resolve('error'))
      }),
    frame: async () => {
      const frame = document.createElement('iframe')
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve))
      frame.src = `${door}/healthz`
      document.body.append(frame)
      await loaded
      try {
        return frame.contentDocument?.body.textContent || 'unreadable'
      } catch {
        return 'unreadable'
      }
    },
  }
  const attacks = []
  for (const [way, make] of Object.entries(tries)) attacks.push({ way, saw: await settled(make()) })
  return attacks
}
