/**
 * The command where nobody else sees what it mounts, all it starts ending with it, and it with us: after a `kill -9`
 * neither processes nor mounts of it are left, and whoever removes its files walks into no `/proc`.
 */
export function confined(command: readonly [string, ...string[]]): [string, ...string[]] {
  return [
    ...(["setpriv", "--pdeathsig", "KILL", "--"] as const),
    ...["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"],
    ...["--mount-proc", "--", ...command],
  ];
}
