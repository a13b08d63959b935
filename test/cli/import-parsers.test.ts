import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { isProblem, toCandidate } from '../../src/cli/import/candidate.ts'
import { detectFormat, parseText, readText, type ImportFormat } from '../../src/cli/import/file.ts'
import { problemWords } from '../../src/cli/import/plan.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const PERSON = { name: 'alice', home: '/home/alice' }
const PLACES = { home: '/home/alice', directory: '/etc/lists' }

/** Each row as the daemon would get it, or the words of its rejection. */
async function rows(text: string, format: ImportFormat) {
  const listing = await parseText(text, format, PERSON)
  return listing.rows
    .map((row) => toCandidate(row, PLACES))
    .map((one) => (isProblem(one) ? `${problemWords(one)} | ${one.hint}` : { ...one.defaults, ...one.values }))
}

async function refusal(text: string, format: ImportFormat): Promise<string> {
  const error = await parseText(text, format, PERSON).then(
    () => null,
    (reason: Error) => reason,
  )
  expect(error).toMatchObject({ name: 'VosError' })
  return error?.message ?? ''
}

const PUB = { name: 'cucm-pub', host: '10.10.0.10', port: 2222, username: 'admin', sudo: true }

describe('one connection', () => {
  it.each<[ImportFormat, string]>([
    ['yaml', '- name: cucm-pub\n  host: 10.10.0.10\n  port: 2222\n  username: admin\n  sudo: true\n'],
    ['yaml', '# mine\r\nconnections:\r\n  - {name: cucm-pub, host: 10.10.0.10, port: 2222, user: admin, sudo: true}'],
    [
      'yaml',
      'schema: vosctl/connection-export/v1\nconnections:\n- name: cucm-pub\n  host: 10.10.0.10\n  port: 2222\n  username: admin\n  sudo: true',
    ],
    ['json', JSON.stringify([PUB])],
    ['json', JSON.stringify({ connections: [PUB] }, null, '\t')],
    ['csv', 'name,host,port,username,sudo\ncucm-pub,10.10.0.10,2222,admin,true\n'],
    ['csv', 'name;host;port;user;sudo;service\r\ncucm-pub;10.10.0.10;2222;admin;TRUE;\r\n\r\n'],
    ['csv', '# from the wiki\nname\thost\tport\tuser\tsudo\n"cucm-pub"\t10.10.0.10\t2222\tadmin\ttrue'],
  ])('is read from %s %j', async (format, text) => {
    expect(await rows(text, format)).toEqual([PUB])
  })

  it('has every field in every format that can say it', async () => {
    const all = {
      name: 'x',
      host: 'h',
      port: 22,
      username: 'u',
      platform: 'linux',
      service: 'nginx',
      key_path: '~/id',
      host_key: { type: 'ssh-ed25519', fingerprint: 'SHA256:A' },
      algorithms: 'modern',
      algorithms_reason: 'old',
      echo: false,
      enter: 'lf',
      sudo: true,
      timings_ms: { prompt: 5, poll: 6 },
    }
    const head = Object.keys(all).flatMap((key) =>
      key === 'host_key'
        ? ['host_key.type', 'host_key.fingerprint']
        : key === 'timings_ms'
          ? ['timings_ms.prompt', 'timings_ms.poll']
          : [key],
    )
    const cells = Object.values(all).flatMap((value) => (typeof value === 'object' ? Object.values(value) : [value]))
    const [fromJson] = await rows(JSON.stringify([all]), 'json')
    const [fromCsv] = await rows(`${head.join()}\n${cells.join()}`, 'csv')
    expect(fromCsv).toEqual(fromJson)
    const { key_path, host_key, algorithms_reason, timings_ms, ...same } = all
    expect(fromJson).toEqual({
      ...same,
      keyPath: key_path.replace('~', PERSON.home),
      hostKey: host_key,
      algorithmsReason: algorithms_reason,
      timings: { promptMs: timings_ms.prompt, pollMs: timings_ms.poll },
    })
  })

  it('may share what it says with another by an alias', async () => {
    const text = '- {name: a, host: h, timings_ms: &slow {prompt: 5}}\n- {name: b, host: h, timings_ms: *slow}'
    expect(await rows(text, 'yaml')).toEqual([
      { name: 'a', host: 'h', timings: { promptMs: 5 } },
      { name: 'b', host: 'h', timings: { promptMs: 5 } },
    ])
  })

  it('has its key file at home, or beside the list', async () => {
    const text =
      '- {name: a, key_path: ~/id}\n- {name: b, key: keys/id}\n- {name: c, key_path: /id}\n- {name: d, key_path: null, service: null}'
    expect(await rows(text, 'yaml')).toEqual([
      { name: 'a', keyPath: '/home/alice/id' },
      { name: 'b', keyPath: '/etc/lists/keys/id' },
      { name: 'c', keyPath: '/id' },
      { name: 'd', service: null },
    ])
  })
})

describe('ssh_config', () => {
  it('gives each host that is named what ssh would find for it', async () => {
    const text = `
      # mine
      Host *.lab !b.lab
        Port 2222
      Host a.lab b.lab "c.lab"   # three
        HostName=%h.example.com
        IdentityFile ~/.ssh/first
      HOST d
        hostname 10.0.0.4
      Host *
        IdentityFile ~/.ssh/last
        User root`
    expect(await rows(text, 'ssh_config')).toEqual([
      { name: 'a.lab', host: 'a.lab.example.com', port: 2222, username: 'root', keyPath: '/home/alice/.ssh/first' },
      { name: 'b.lab', host: 'b.lab.example.com', username: 'root', keyPath: '/home/alice/.ssh/first' },
      { name: 'c.lab', host: 'c.lab.example.com', port: 2222, username: 'root', keyPath: '/home/alice/.ssh/first' },
      { name: 'd', host: '10.0.0.4', username: 'root', keyPath: '/home/alice/.ssh/last' },
    ])
  })

  it('takes the alias for the host and you for the user where nothing is said, of a new connection only', async () => {
    const { rows: all } = await parseText('Host a\n  Port 2222\n', 'ssh_config', PERSON)
    const candidate = all.map((row) => toCandidate(row, PLACES))[0]
    expect(candidate).toMatchObject({ values: { name: 'a', port: 2222 }, defaults: { host: 'a', username: 'alice' } })
  })

  it.each([
    ['Host a\n  ProxyJump root@b', 'line 1, a: ProxyJump is "root@b", and only the name of a host is understood'],
    ['Host a\n  ProxyJump b,c', 'line 1, a: ProxyJump is "b,c"'],
    ['Host a\n  ProxyJump b:2222', 'line 1, a: ProxyJump is "b:2222"'],
    ['\nHost a\nHost *\n  ProxyCommand nc %h %p', 'line 2, a: ProxyCommand runs a command'],
    ['Host a\n HostName %L', 'line 1, a: HostName holds a token'],
    ['Host a\n IdentityFile /x/%C', 'line 1, a: IdentityFile holds a token'],
  ])('%j is rejected', async (text, words) => {
    expect(await rows(text, 'ssh_config')).toEqual([expect.stringContaining(words)])
  })

  it('leads through the host that ProxyJump names, and not through itself', async () => {
    expect(await rows('Host a b\n  ProxyJump B\n', 'ssh_config')).toMatchObject([
      { name: 'a', via: 'B' },
      { name: 'b' },
    ])
    expect((await rows('Host b\n  ProxyJump B\n', 'ssh_config'))[0]).not.toHaveProperty('via')
  })

  it.each(['Host a\n  ProxyJump none', 'Host a\n  ProxyCommand none'])('%j logs in directly', async (text) => {
    expect(await rows(text, 'ssh_config')).toEqual([{ name: 'a', host: 'a', username: 'alice' }])
  })

  it('takes no more time for many hosts, and for a pattern of many stars', async () => {
    const hosts = (count: number) => Array.from({ length: count }, (_, index) => `Host a${index}\n  User u\n`).join('')
    const long = 'a'.repeat(60)
    const text = `Host ${'*a'.repeat(40)}b\n  Port 1\n${hosts(2000)}Host ${long}\n`
    const all = await rows(text, 'ssh_config')
    expect(all).toHaveLength(2001)
    expect(all.at(-1)).toEqual({ name: long, host: long, username: 'alice' })
    await expect(parseText(hosts(100_000), 'ssh_config', PERSON)).rejects.toThrow('it holds 100000 connections')
  })

  it.each([
    ['a*', true],
    ['*', true],
    ['a?c', true],
    ['?', false],
    ['abc?', false],
    ['*b*', true],
    ['*c*b', false],
    ['a*c*', true],
    ['* !*c', false],
    ['abc !b*', true],
    ['a.c', false],
  ])('Host %s means abc: %s', async (patterns, means) => {
    const all = await rows(`Host ${patterns}\n  Port 99\nHost abc\n`, 'ssh_config')
    const found = all.find((row) => (row as { readonly name: string }).name === 'abc')
    expect(found).toEqual({ name: 'abc', host: 'abc', username: 'alice', ...(means ? { port: 99 } : {}) })
  })

  it('runs no command that a file names, and says what it does not read', async () => {
    const proof = path.join(temporaryDirectory(), 'ran')
    const text = `Include x\nHost a\n  CanonicalizeHostname yes\n  CanonicalDomains example.com\nMatch exec "touch ${proof}"\n  User evil\nMatch all\n  User evil`
    const { rows: all, notes } = await parseText(text, 'ssh_config', PERSON)
    expect(all).toMatchObject([
      { cells: [{ key: 'name', value: 'a' }], defaults: [{ value: 'a' }, { value: 'alice' }] },
    ])
    expect(notes).toEqual(['Match blocks are not read.', 'Include is not followed: import those files too.'])
    expect(fs.existsSync(proof)).toBe(false)
  })
})

describe('a row is rejected with its line, its name, why, and what to do', () => {
  it.each<[ImportFormat, string, string]>([
    [
      'yaml',
      '- name: a\n  host: h\n  password: hunter2',
      'line 3, a: password is not taken from a file | Take it out, then: vosctl credentials set a',
    ],
    [
      'csv',
      'name,Passphrase\na,hunter2',
      'line 2, a: Passphrase is not taken from a file | Take it out, then: vosctl credentials set a',
    ],
    ['yaml', '- name: a\n  usernmae: u', 'line 2, a: usernmae is no field of a connection | Did you mean username?'],
    [
      'yaml',
      '- name: a\n  __proto__: {name: b}',
      'line 2, a: __proto__ is no field of a connection | There are: name, host,',
    ],
    ['json', '[\n{"name": "a",\n"__proto__": 5}]', 'line 3, a: __proto__ is no field of a connection'],
    ['yaml', '- name: a\n  constructor: 1', 'line 2, a: constructor is no field of a connection'],
    ['yaml', '- name: 42', 'line 1: name is read as a number | Put it in quotes.'],
    ['yaml', '- name: a\n  host: true', 'line 2, a: host is read as a boolean | Put it in quotes.'],
    ['yaml', '- name: a\n  sudo: yes', 'line 2, a: sudo is "yes" | Say true or false.'],
    ['csv', 'name,port\na,ssh', 'line 2, a: port is "ssh" | Say a whole number.'],
    ['yaml', '- name: a\n  host: [b, c]', 'line 2, a: host holds more than one value'],
    [
      'yaml',
      '- name: a\n  timings_ms: {promt: 1}',
      'line 2, a: timings_ms has no time limit "promt" | Did you mean prompt?',
    ],
    ['csv', 'name,timings_ms.__proto__\na,1', 'line 2, a: timings_ms has no time limit "__proto__"'],
    ['yaml', '- name: a\n  host_key: SHA256:x', 'line 2, a: host_key is no list of names with values'],
    ['yaml', '- host: h', 'line 1: name is missing'],
    ['yaml', '- name: a\n  user: u\n  username: u', 'line 3, a: username is there twice'],
    ['yaml', '- a\n', 'line 1: is no connection'],
    ['csv', 'name,host\na,b,c', 'line 2: has 3 cells, and the first row has 2'],
    ['yaml', `- name: a\n  host: ${'x'.repeat(9000)}`, 'line 1, a: is too long'],
  ])('%s %j', async (format, text, words) => {
    expect(await rows(text, format)).toEqual([expect.stringContaining(words)])
  })
})

describe('a file is refused as a whole, and nothing of it is repeated on the screen', () => {
  const nines = [...'abcdefgh'].map(
    (name, index) => `&${name} [${`${index === 0 ? 'x' : `*${'abcdefgh'[index - 1]}`}, `.repeat(9)}]`,
  )
  it.each<[string, ImportFormat, string, string]>([
    [
      'a key that is there twice',
      'yaml',
      '- name: a\n  host: hunter2\n  host: c',
      'line 3, column 3: a key is there twice',
    ],
    ['in JSON too', 'json', '[{"name": "a", "name": "hunter2"}]', 'line 1, column 16: a key is there twice'],
    ['YAML that is none', 'yaml', '- name: "hunter2\n', 'missing char'],
    ['a tab for indentation', 'yaml', '- name: a\n\thost: hunter2', 'line 2'],
    ['a tag of a programming language', 'yaml', '- name: !!js/function "hunter2"', 'tag'],
    ['two documents', 'yaml', '- name: hunter2\n---\n- name: b', 'multiple docs'],
    ['JSON that is YAML', 'json', '[{name: hunter2}]', 'line 1, column 3: this is no JSON'],
    ['JSON that ends early', 'json', '[{"name": "hunter2"', 'no JSON'],
    ['a word', 'yaml', 'hunter2', 'it holds no list'],
    ['other YAML', 'yaml', 'services:\n  web: hunter2', 'it is no list of connections'],
    ['another schema', 'yaml', 'schema: hunter2\nconnections: []', 'it is no list of connections'],
    [
      'a bomb of aliases',
      'yaml',
      `- name: a\n  timings_ms: {prompt: [${nines.join(', ')}]}`,
      'an alias leads nowhere or repeats too much',
    ],
    ['an alias of nothing', 'yaml', '- name: a\n  timings_ms: *b', 'an alias leads nowhere'],
    ['a deep nest', 'yaml', '['.repeat(5_000), 'resource exhaustion'],
    ['CSV without names of columns', 'csv', 'hunter2,10.0.0.1', 'names no column "name"'],
    ['nor when two of its values are the same', 'csv', 'a,hunter2,hunter2', 'names no column "name"'],
    ['a column that is there twice', 'csv', 'name,host,host\nhunter2,b,c', 'the column "host" is there twice'],
    ['a quote in the middle', 'csv', 'name,host\na,b"hunter2"', 'line 2: invalid'],
    ['a quote that is not closed', 'csv', 'name,host\na,"hunter2', 'quote not closed'],
    ['an ssh_config with an open quote', 'ssh_config', 'Host a\n  User "hunter2\n', 'a quote is not closed'],
    ['nothing', 'yaml', '', 'there is no connection in it'],
    ['a comment', 'yaml', '# hunter2\n', 'there is no connection in it'],
    ['an empty list', 'json', '[]', 'there is no connection in it'],
    ['nothing for JSON', 'json', ' \n', 'there is no connection in it'],
    ['only a head', 'csv', 'name,host\n', 'there is no connection in it'],
    ['only patterns', 'ssh_config', 'Host *\n  User hunter2', 'there is no connection in it'],
    ['more than anybody has', 'csv', `name\n${'hunter2\n'.repeat(5001)}`, 'it holds 5001 connections, more than 5000'],
  ])('%s', async (_, format, text, words) => {
    const message = await refusal(text, format)
    expect(message).toContain(words)
    expect(message).not.toContain('hunter2')
  })
})

describe('the format', () => {
  it.each<[string, string, ImportFormat]>([
    ['x.yaml', '', 'yaml'],
    ['x.YML', '[]', 'yaml'],
    ['x.json', '', 'json'],
    ['x.csv', '', 'csv'],
    ['x.tsv', '', 'csv'],
    ['-', ' [{"name": "a"}]', 'json'],
    ['-', '{\n"connections": []}', 'json'],
    ['-', '# a\n- name: b\n  host: x', 'yaml'],
    ['-', 'connections:\n  - name: b', 'yaml'],
    ['-', 'name,host\na,b', 'csv'],
    ['-', '\nname;host\na;b', 'csv'],
    ['config', '# x\n\nHost a', 'ssh_config'],
    ['config', 'Match all', 'ssh_config'],
    ['config', 'ServerAliveInterval 30\n\nHost a\n', 'ssh_config'],
    ['-', 'host: a', 'yaml'],
  ])('of %s %j is %s', (file, text, format) => {
    expect(detectFormat(file, text)).toBe(format)
  })

  it.each<[string, string, ImportFormat]>([
    ['separators', `${','.repeat(4_000_000)}:`, 'yaml'],
    ['empty lines', `x y${'\n'.repeat(4_000_000)}z`, 'yaml'],
  ])('of a file of %s is found in no time', (_, text, format) => {
    expect(detectFormat('-', text)).toBe(format)
  })
})

describe('a file', () => {
  const stdin = () => expect.fail('not read')
  it.each<[string, Buffer | null, string]>([
    ['that is not there', null, 'there is no such file'],
    ['of 10 MB', Buffer.alloc(10_000_000, 'x'), 'is larger than 4 MiB'],
    ['in UTF-16', Buffer.from('\ufeffname,host\n', 'utf16le'), 'is not UTF-8 text'],
    ['that is a program', Buffer.from('\x7fELF\0\0'), 'is not UTF-8 text'],
  ])('%s is refused', async (_, bytes, words) => {
    const file = path.join(temporaryDirectory(), 'list.yaml')
    if (bytes) fs.writeFileSync(file, bytes)
    await expect(readText(file, stdin)).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining(words),
    })
  })

  it('that is a directory is refused', async () => {
    await expect(readText('/', stdin)).rejects.toMatchObject({ message: '/ cannot be read: it is a directory.' })
  })

  it('that never ends is refused', async () => {
    await expect(readText('/dev/zero', stdin)).rejects.toMatchObject({ message: expect.stringContaining('4 MiB') })
  })

  it('loses its byte order mark', async () => {
    const file = path.join(temporaryDirectory(), 'list.csv')
    fs.writeFileSync(file, '\ufeffname\n')
    expect(await readText(file, stdin)).toBe('name\n')
  })
})
