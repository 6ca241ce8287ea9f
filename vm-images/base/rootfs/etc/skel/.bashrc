case $- in
  *i*) ;;
  *) return ;;
esac

HISTCONTROL=ignoreboth:erasedups
HISTSIZE=20000
HISTFILESIZE=40000
shopt -s histappend checkwinsize globstar
PROMPT_COMMAND='history -a'

# Prompt: host and folder, the git branch, and the last exit status when it was not 0.
__atoll_prompt() {
  local status=$? branch=
  local dir=$PWD
  while [ -n "$dir" ]; do
    if [ -r "$dir/.git/HEAD" ]; then
      read -r branch <"$dir/.git/HEAD"
      case $branch in
        'ref: refs/heads/'*) branch=${branch#ref: refs/heads/} ;;
        *) branch=${branch:0:8} ;;
      esac
      break
    fi
    dir=${dir%/*}
  done
  PS1='\[\e[38;5;73m\]\h\[\e[0m\] \[\e[1m\]\w\[\e[0m\]'
  # The name is put in by reference: a branch called `$(...)` must not be run.
  __atoll_branch=$branch
  [ -n "$branch" ] && PS1+=' \[\e[38;5;179m\]${__atoll_branch}\[\e[0m\]'
  [ "$status" -ne 0 ] && PS1+=" \[\e[38;5;167m\]${status}\[\e[0m\]"
  PS1+='\n\[\e[38;5;73m\]\$\[\e[0m\] '
  # Title of the terminal tab.
  PS1="\[\e]0;\w\a\]$PS1"
}
PROMPT_COMMAND="__atoll_prompt;$PROMPT_COMMAND"

eval "$(dircolors -b)"
alias ls='ls --color=auto' ll='ls -alF' la='ls -A' grep='grep --color=auto' diff='diff --color=auto'
export EDITOR=nano PAGER=less LESS=-R

[ -r /usr/share/bash-completion/bash_completion ] && . /usr/share/bash-completion/bash_completion
[ -r ~/.bash_aliases ] && . ~/.bash_aliases
true
