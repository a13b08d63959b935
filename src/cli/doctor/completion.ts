import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { xdg } from '../paths.ts'
import { quoted } from '../renderers/words.ts'
import { ok, warn, type Check } from './check.ts'

interface Shell {
  /** Where its completions lie, for everybody and for this user. */
  readonly files: readonly string[]
  /** Start files that may load it themselves. */
  readonly startFiles: readonly string[]
  readonly install: string
}

/** Looked for by the login shell, because that is the one in which a person types. */
export function checkCompletion(env: NodeJS.ProcessEnv, home: string): readonly Check[] {
  const name = path.basename(env.SHELL ?? '')
  const shell = shells(home, env)[name]
  if (!shell) return []
  const found =
    shell.files.find((file) => existsSync(file)) ?? shell.startFiles.find((file) => mentions(file, 'vosctl completion'))
  if (found !== undefined) return [ok('completion', `installed for ${name}: ${found}`)]
  return [warn('completion', `not installed for ${name}`, shell.install)]
}

function shells(home: string, env: NodeJS.ProcessEnv): Readonly<Record<string, Shell>> {
  const data = xdg(env, 'XDG_DATA_HOME') ?? path.join(home, '.local', 'share')
  const config = xdg(env, 'XDG_CONFIG_HOME') ?? path.join(home, '.config')
  const bash = path.join(data, 'bash-completion', 'completions', 'vosctl')
  const fish = path.join(config, 'fish', 'completions', 'vosctl.fish')
  const zsh = path.join(home, '.zfunc', '_vosctl')
  return {
    bash: {
      files: [
        bash,
        '/usr/share/bash-completion/completions/vosctl',
        '/usr/local/share/bash-completion/completions/vosctl',
        '/etc/bash_completion.d/vosctl',
      ],
      startFiles: ['.bashrc', '.bash_profile', '.bash_completion'].map((file) => path.join(home, file)),
      install: installInto(bash, 'bash'),
    },
    zsh: {
      files: [
        zsh,
        '/usr/share/zsh/site-functions/_vosctl',
        '/usr/share/zsh/vendor-completions/_vosctl',
        '/usr/local/share/zsh/site-functions/_vosctl',
      ],
      startFiles: ['.zshrc', '.zprofile'].map((file) => path.join(env.ZDOTDIR || home, file)),
      install: `${installInto(zsh, 'zsh')}   (with fpath=(~/.zfunc $fpath) before compinit)`,
    },
    fish: {
      files: [fish, '/usr/share/fish/vendor_completions.d/vosctl.fish'],
      startFiles: [path.join(config, 'fish', 'config.fish')],
      install: installInto(fish, 'fish'),
    },
  }
}

function installInto(file: string, shell: string): string {
  return `mkdir -p ${quoted(path.dirname(file))} && vosctl completion ${shell} > ${quoted(file)}`
}

function mentions(file: string, words: string): boolean {
  try {
    return readFileSync(file, 'utf8').includes(words)
  } catch {
    return false
  }
}
