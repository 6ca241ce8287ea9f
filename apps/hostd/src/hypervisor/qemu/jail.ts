/**
 * The command line that puts QEMU into its jail. Two nested bubblewraps, because the files of one machine lie in
 * directories that its own uid may not even traverse: the outer one runs as root and only rearranges mounts, then all
 * privileges go, and the inner one makes the namespaces QEMU lives in. QEMU sees its own libraries, one directory for
 * sockets, its disk, and the shared read-only files it was given; nothing else exists for it.
 */

export interface JailFile {
  /** On the host; a file or a directory. */
  source: string;
  /** As QEMU sees it; a name without folders. */
  name: string;
  isWritable: boolean;
}

export interface JailOptions {
  /** Directory with QEMU's `usr/`. */
  vmmRoot: string;
  /** Memory-backed, owned by `uid`; the only place where QEMU can create files. */
  runDirectory: string;
  files: readonly JailFile[];
  uid: number;
  /** Group of /dev/kvm when the machine uses it, else undefined: then the node is not even visible. */
  kvmGroup: number | undefined;
  command: readonly string[];
}

/** Where QEMU finds its run directory and its files. */
export const JAIL_RUN = "/vm";
export const jailPath = (name: string) => `/files/${name}`;

const staged = (name: string) => `/run/staged/${name}`;
/** Where the run directory is while the jail is being made. */
export const STAGED_RUN = staged("vm");

/** File descriptor on which the inner bubblewrap reports QEMU's pid. */
export const JAIL_STATUS_FD = 3;

export function jailCommand(options: JailOptions): [string, ...string[]] {
  const { uid, kvmGroup } = options;
  const outer = [
    "bwrap",
    ...["--dev-bind", "/", "/"],
    // Hides the machine's own /run and gives the uid a place it can reach, in this mount namespace only.
    ...["--tmpfs", "/run"],
    ...["--perms", "0755", "--dir", "/run/staged", "--perms", "0755", "--dir", staged("files")],
    ...["--ro-bind", `${options.vmmRoot}/usr`, staged("usr")],
    ...["--bind", options.runDirectory, STAGED_RUN],
    ...options.files.flatMap(({ source, name, isWritable }) => [
      isWritable ? "--bind" : "--ro-bind",
      source,
      staged(`files/${name}`),
    ]),
  ];
  const drop = [
    "setpriv",
    ...[`--reuid=${uid}`, `--regid=${uid}`],
    kvmGroup === undefined ? "--clear-groups" : `--groups=${kvmGroup}`,
    ...["--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"],
  ];
  const inner = [
    "bwrap",
    ...[
      "--unshare-user",
      "--unshare-pid",
      "--unshare-net",
      "--unshare-ipc",
      "--unshare-uts",
      "--unshare-cgroup-try",
    ],
    ...["--disable-userns", "--as-pid-1", "--clearenv", "--hostname", "vm"],
    ...["--cap-drop", "ALL"],
    ...["--json-status-fd", String(JAIL_STATUS_FD)],
    ...["--ro-bind", staged("usr"), "/usr"],
    ...["bin", "lib", "lib64"].flatMap((name) => ["--symlink", `usr/${name}`, `/${name}`]),
    ...["--dev", "/dev"],
    ...(kvmGroup === undefined ? [] : ["--dev-bind", "/dev/kvm", "/dev/kvm"]),
    ...["--bind", STAGED_RUN, JAIL_RUN],
    ...options.files.flatMap(({ name, isWritable }) => [
      isWritable ? "--bind" : "--ro-bind",
      staged(`files/${name}`),
      jailPath(name),
    ]),
    ...["--remount-ro", "/"],
    ...["--chdir", JAIL_RUN],
  ];
  // A core limit of exactly one byte is the only value that also keeps a core-dump pipe from being fed.
  return ["prlimit", "--core=1:1", ...outer, "--", ...drop, ...inner, "--", ...options.command];
}
