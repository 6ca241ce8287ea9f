import * as z from "zod";

/** The native half of node-pty. Its own JavaScript half blocks on input nobody reads and drops output at exit. */
export interface PtyBinding {
  fork(
    file: string,
    args: readonly string[],
    env: readonly string[],
    cwd: string,
    cols: number,
    rows: number,
    uid: number,
    gid: number,
    isUtf8: boolean,
    helperPath: string,
    onExit: (exitCode: number, signal: number) => void,
  ): { fd: number; pid: number; pty: string };
  resize(fd: number, cols: number, rows: number): void;
}

const bindingShape = z.custom<PtyBinding>(
  (value) =>
    typeof value === "object" &&
    value !== null &&
    "fork" in value &&
    typeof value.fork === "function" &&
    "resize" in value &&
    typeof value.resize === "function",
);

let loaded: PtyBinding | undefined;

/** Loaded at the first terminal: a handshake does not wait for it. */
export function ptyBinding(): PtyBinding {
  const { createRequire } = process.getBuiltinModule("node:module");
  loaded ??= bindingShape.parse(
    createRequire(import.meta.url)(`@lydell/node-pty-${process.platform}-${process.arch}/pty.node`),
  );
  return loaded;
}
