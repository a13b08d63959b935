export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** What a shell reads where it shall offer its files too; every other line is a candidate. */
export const FILES_LINE = ':files'

/**
 * What each shell has to be told once. All that is known is known to `vosctl complete`; what it prints is only ever data
 * to these scripts, never code.
 */
export const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# Completion of vosctl for bash.
# Install it:  vosctl completion bash > ~/.local/share/bash-completion/completions/vosctl
# or, without the package bash-completion, in ~/.bashrc:  source <(vosctl completion bash)
_vosctl() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == '${FILES_LINE}' ]]; then
      compopt -o default
    else
      COMPREPLY+=("$line")
    fi
  done < <(command vosctl complete bash "\${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" "$COMP_TYPE" 2>/dev/null)
}
complete -F _vosctl vosctl
`,
  zsh: `#compdef vosctl
# Completion of vosctl for zsh.
# Install it:  vosctl completion zsh > "\${fpath[1]}/_vosctl"
# or, after compinit in ~/.zshrc:  source <(vosctl completion zsh)
_vosctl() {
  local line
  local -a values shown
  while IFS= read -r line; do
    if [[ $line == '${FILES_LINE}' ]]; then
      _files
    else
      values+=("\${line%%$'\\t'*}")
      shown+=("\${line/$'\\t'/  -- }")
    fi
  done < <(command vosctl complete zsh "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)
  (( $#values )) && compadd -V vosctl -l -d shown -a -- values
}
if [[ $funcstack[1] == _vosctl ]]; then
  _vosctl "$@"
else
  compdef _vosctl vosctl
fi
`,
  fish: `# Completion of vosctl for fish.
# Install it:  vosctl completion fish > ~/.config/fish/completions/vosctl.fish
function __vosctl_complete
    set -l words (commandline -opc)
    set -e words[1]
    for line in (command vosctl complete fish $words (commandline -ct) 2>/dev/null)
        if test "$line" = '${FILES_LINE}'
            __fish_complete_path (commandline -ct)
        else
            printf '%s\\n' "$line"
        end
    end
end
complete -c vosctl -f -k -a '(__vosctl_complete)'
`,
}
