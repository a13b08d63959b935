import { describe, expect, test } from 'vitest'
import type { Scenario } from '../../src/simulator/index.ts'
import * as lists from '../../src/simulator/scenarios/lists.ts'
import * as logins from '../../src/simulator/scenarios/logins.ts'
import * as authentication from '../../src/simulator/scenarios/authentication.ts'
import * as restarts from '../../src/simulator/scenarios/restarts.ts'
import { pagedList, utf8Ellipsis } from '../../src/simulator/scenarios/terminals.ts'
import { connect, openShell, simulate, transcript } from './session.ts'

/** What a scenario answers to one command, prompts included, with `\n` for the CRLF on the wire. */
async function replay(scenario: Scenario, command: string, prompt = 'admin:'): Promise<string> {
  const session = await openShell(await simulate(scenario))
  const exchange = await session.run(command, prompt)
  return `${prompt}${exchange}${prompt}`
}

/** Everything up to and including the first prompt. */
async function login(scenario: Scenario): Promise<string> {
  const session = await openShell(await simulate(scenario))
  return (await session.until('admin:')).replaceAll('\r\n', '\n')
}

/** For transcripts whose page expanded the tabs. */
function expandTabs(text: string): string {
  return text.replaceAll('\t', '        ')
}

/** For transcripts whose page lost or added blanks and line ends: every other character, in order. */
function withoutBlanks(text: string): string {
  return text.replaceAll(/\s/g, '')
}

describe('Service lists', () => {
  test('VVB 12.6 answers with list-01, byte for byte', async () => {
    expect(await replay(lists.vvbList, 'utils service list')).toBe(`${transcript('list-01-vvb-12.6-full')}admin:`)
  })

  test('HCM-F answers with list-02 once its line breaks are put back', async () => {
    const flattened = transcript('list-02-hcmf-11.5.4-services-stopped')
    const restored = flattened
      .replace('admin: utils service list ', 'admin: utils service list\n')
      .replace('please wait... ', 'please wait...\n')
      .replaceAll(/(\[ ?ST[A-Z]+ ?\](?: +(?:Component is not running|Service Not Activated))?) ?/g, '$1\n')
      .replace('is running Getting list of all services >> Return code = 0 ', (words) =>
        words.replace('running ', 'running\n').replace('services ', 'services\n').replace(/ $/, '\n'),
      )
    const received = await replay(lists.hcmfList, 'utils service list', 'admin: ')
    expect(received).toBe(`${restored}admin: `)
    expect(withoutBlanks(received)).toBe(`${withoutBlanks(flattened)}admin:`)
  })

  test('CUCM begins with the platform group of list-04, up to the ellipsis where the guide cuts it', async () => {
    const begun = transcript('list-04-cucm-platform-group-nscd').replace(/…\n$/, '')
    expect(await replay(utf8Ellipsis, 'utils service list')).toContain(begun)
  })

  test('A Unity Connection subscriber has every line of list-08, in that order', async () => {
    expect(await replay(lists.unityConnectionList, 'utils service list')).toContain(
      transcript('list-08-subscriber-commanded-out-of-service-lines'),
    )
  })
})

describe('Logins', () => {
  test('CUCM 11.5 logs in as in login-01, without its timestamps and blank lines and up to its first cut', async () => {
    const lines = transcript('login-01-cucm-11.5-with-timestamps')
      .split('\n')
      .slice(2)
      .map((line) => line.replace(/^\S+ \S+ - ?/, ''))
      .filter((line) => line !== '')
    const expected = lines.slice(0, lines.indexOf('...')).join('\n').replace('admin:\n', 'admin:')
    const session = await openShell(await simulate(logins.loginWithTimestamps))
    await session.run('show version active')
    const received = expandTabs(session.text).replaceAll(/(\r\n)+/g, '\n')
    expect(received).toBe(`${expected}\nadmin:`)
  })

  test('CUCM 11.5 takes the time of login-01 between its words, within 20 ms', () => {
    const stamps = [...transcript('login-01-cucm-11.5-with-timestamps').matchAll(/^(\S+ \S+),(\d+) -/gm)]
      .map(([, time = '', ms = '']) => Date.parse(`${time.replace(' ', 'T')}.${ms}Z`))
      .slice(1, 6)
    const pauses = stamps.slice(1).map((stamp, index) => stamp - (stamps[index] ?? 0))
    const ours = logins.loginWithTimestamps.product.welcome.map(({ afterMs }) => afterMs)
    expect(ours.map((ms, index) => Math.abs(ms - (pauses[index] ?? 0)) <= 20)).toEqual([true, true, true, true])
  })

  test('CUCM 12.5 logs in as in login-02, whose tabs became blanks', async () => {
    expect(`${expandTabs(await login(logins.loginPlain))}\n`).toBe(transcript('login-02-cucm-12.5-admin-blog'))
  })

  test('UCCX logs in, asks for a password and leaves as in login-04, from its blank line to the client’s last words', async () => {
    const words = transcript('login-04-uccx-sandbox-and-exit')
    const expected = words.slice(words.indexOf('\n\nCommand') + 1, words.indexOf('Connection to hq'))
    const session = await openShell(await simulate(logins.loginBlankFirst))
    await session.until('admin:')
    await session.exchange('utils reset_3rdpartygadget_password\n', 'New Password: ')
    await session.exchange('secret#1\n', 'Confirm New Password: ')
    await session.exchange('secret#1\n', 'successfully.\r\nadmin:')
    session.send('exit\n')
    await session.closed
    expect(session.text.replaceAll('\r\n', '\n')).toBe(expected)
  })

  test('IM&P logs in with the warning of login-06, which ends before the prompt', async () => {
    const received = expandTabs(await login(logins.loginWithWarning))
    expect(received).toBe(`${transcript('login-06-imp-with-dns-warning')}\nadmin:`)
  })

  test('CUCM 15 sends the raw bytes of login-07 to a client that nudges once before the prompt', async () => {
    const raw = JSON.parse(`"${transcript('login-07-cucm15-raw-bytes-escaped').trimEnd()}"`)
    const session = await openShell(await simulate(logins.loginOneLine))
    session.send('\n')
    expect(await session.until('\radmin:')).toBe(raw)
  })

  test('The password dialogue is that of login-08, from the first words of the CLI', async () => {
    const words = transcript('login-08-set-password-user-admin')
    const session = await openShell(await simulate(logins.loginSmall))
    await session.until('admin:')
    await session.exchange('set password user admin\n', 'old password: ')
    await session.exchange('twelve-chars\n', 'new password: ')
    await session.exchange('eight-ch\n', 'confirm: ')
    const received = await session.exchange('eight-ch\n', 'successfully.\r\nadmin:')
    expect(`${expandTabs(received).replaceAll('\r\n', '\n')}\n`).toBe(words.slice(words.indexOf('Command Line')))
  })

  test('An expired password in the shell asks with the words that login-09 waits for', async () => {
    const [prompt = ''] = /UNIX password: $/m.exec(transcript('login-09-expect-strings-for-bad-logins')) ?? []
    const session = await openShell(await simulate(authentication.expiredInShell))
    expect(await session.until(prompt)).not.toContain('admin:')
  })

  test('The exec channel gives the strings of login-10 and does not run the command', async () => {
    const simulator = await simulate(logins.loginPlain)
    const { client } = await connect(simulator)
    const received = await new Promise<string>((resolve, reject) => {
      client.exec('uname -a', (error, channel) => {
        if (error) return reject(error)
        let text = ''
        channel.on('data', (chunk: Buffer) => (text += chunk.toString())).on('close', () => resolve(text))
        return undefined
      })
    })
    for (const words of transcript('login-10-exec-channel-gives-the-cli-not-the-command').trim().split('\n')) {
      expect(received).toContain(words)
    }
    expect(simulator.ledger.of('channel').find(({ request }) => request === 'exec')?.detail).toBe('uname -a')
    expect(simulator.ledger.commands()).toEqual([])
  })
})

describe('Restarts', () => {
  test('Finesse restarts its Tomcat with the bytes of restart-01', async () => {
    expect(`${await replay(restarts.oldWording, 'utils service restart Cisco Finesse Tomcat')}\n`).toBe(
      transcript('restart-01-finesse-tomcat-pcce12.5-devnet-sandbox'),
    )
  })

  test('IM&P restarts with the bytes of restart-04, and then the prompt', async () => {
    expect(await replay(restarts.newWording, 'utils service restart Cisco XCP Text Conference Manager')).toBe(
      `${transcript('restart-04-imp-xcp-text-conference-manager')}admin:`,
    )
  })

  test('UCCX starts a service with the bytes of start-01, whose last line has lost its trailing blanks', async () => {
    const simulator = await simulate(lists.neighbours)
    simulator.setService('Cisco Unified CCX Administration', 'STOPPED', 'Commanded Out of Service')
    const session = await openShell(simulator)
    // The blank before Enter is in the transcript.
    const received = await session.run('utils service start Cisco Unified CCX Administration ')
    expect(`admin:${received.trimEnd()}\n`).toBe(transcript('start-01-uccx-administration'))
  })
})

describe('Pagers, questions, errors', () => {
  test('A paged list stops with the bytes of paging-01', async () => {
    const prompt = transcript('paging-01-press-enter-ansi-escaped').trimEnd().replaceAll('%1B', '\x1b')
    const session = await openShell(await simulate(pagedList))
    await session.until('admin:')
    expect(await session.exchange('utils service list\n', prompt)).toContain('[STARTED]\r\n\x1b[1mPress')
  })

  test('The file viewer shows both options lines of paging-02', async () => {
    const [last = '', middle = ''] = transcript('paging-02-file-view-options-line').trimEnd().split('\n')
    const session = await openShell(await simulate(restarts.publisher))
    await session.until('admin:')
    await session.exchange('file view install system-history.log\n', ') :')
    await session.exchange('e', last)
    await session.exchange('q', 'admin:')
    await session.exchange('file view activelog syslog/messages\n', ') :')
    await session.exchange('nnn', middle)
    expect(await session.exchange('q', 'admin:')).toContain(`line 80\r\n${middle}`)
  })

  test('Pagination is turned off and shown with the bytes of paging-03', async () => {
    const session = await openShell(await simulate(restarts.publisher))
    const off = await session.run('set cli pagination off')
    const shown = await session.run('show cli pagination')
    expect(`admin:${off}admin:${shown}`).toBe(transcript('paging-03-set-cli-pagination-off'))
  })

  test('A heavy command asks with the bytes of prompt-01', async () => {
    const session = await openShell(await simulate(restarts.publisher))
    await session.until('admin:')
    const question = transcript('prompt-01-continue-y-n').trimEnd()
    await session.exchange('utils core active analyze\n', question.replaceAll('\n', '\r\n'))
    expect(await session.exchange('n\n', '\nadmin:')).toMatch(/Continue \(y\/n\)\?n\r\nadmin:$/)
  })

  test('A system restart asks with the words of prompt-02, whose line breaks are lost, and the node goes down', async () => {
    const simulator = await simulate(lists.hcmfList)
    const session = await openShell(simulator)
    await session.until('admin: ')
    const from = session.text.length - 'admin: '.length
    session.send('utils system restart\n')
    await session.until('(yes/no)? ')
    session.send('yes\n')
    await session.lost
    expect(withoutBlanks(session.text.slice(from))).toBe(withoutBlanks(transcript('prompt-02-system-restart-yes-no')))
    await simulator.ledger.until((ledger) => ledger.of('power').some(({ on }) => !on))
  })

  test('Unity Connection asks before it encrypts with the bytes of prompt-03', async () => {
    const session = await openShell(await simulate(lists.unityConnectionList))
    await session.until('admin:')
    await session.exchange('utils cuc encryption enable\n', '(yes/no)? ')
    const received = await session.exchange('yes\n', 'successfully\r\n\r\nadmin:')
    const exchange = received.slice(received.indexOf('admin:'), -'admin:'.length)
    expect(exchange.replaceAll('\r\n', '\n')).toBe(transcript('prompt-03-cuc-encryption-enable'))
  })

  test('A wrong value is refused with the words of error-01, whose line breaks are lost', async () => {
    const session = await openShell(await simulate(restarts.publisher))
    const right = await session.run('show haproxy client-auth 9443')
    const wrong = await session.run('show haproxy client-auth 9456')
    expect(withoutBlanks(`admin:${right}admin:${wrong}`)).toBe(
      withoutBlanks(transcript('error-01-haproxy-client-auth-bad-value')),
    )
  })

  test('Unity Connection shows its cluster with the bytes of misc-02', async () => {
    const received = await replay(lists.unityConnectionList, 'show network cluster')
    expect(received).toBe(`admin:show network cluster\n${transcript('misc-02-show-network-cluster-cuc')}admin:`)
  })
})
