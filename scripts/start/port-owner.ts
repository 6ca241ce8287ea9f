import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { StepFailure } from "../bootstrap/progress.mjs";

const TCP_LISTEN = "0A";

/** Throws who holds the port and which variable moves ours. `localhost` means both addresses to a browser. */
export async function assertPortFree(port: number, variable: string): Promise<void> {
  for (const host of ["127.0.0.1", "::1"]) {
    if (!(await isTaken(port, host))) continue;
    const owner = portOwner(port);
    throw new StepFailure(`port ${port} is taken${owner ? ` by ${owner}` : ""}`, {
      remedy: `Stop that program, or choose another port: ${variable}=<port> npm start`,
    });
  }
}

/** False also where the address does not exist: a machine may have no IPv6. */
async function isTaken(port: number, host: string): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(true);
      else if (error.code === "EADDRNOTAVAIL" || error.code === "EAFNOSUPPORT") resolve(false);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(false)));
  });
}

/** `name (process 123)`, found by the socket's inode; undefined where /proc does not tell. */
function portOwner(port: number): string | undefined {
  const hexadecimal = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readLines(table)) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(`:${hexadecimal}`) && fields[3] === TCP_LISTEN)
        inodes.add(`socket:[${fields[9]}]`);
    }
  }
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const descriptors = readdirSync(`/proc/${pid}/fd`);
      if (!descriptors.some((fd) => inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`)))) continue;
      return `${readFileSync(`/proc/${pid}/comm`, "utf8").trim()} (process ${pid})`;
    } catch {
      // It ended while we looked.
    }
  }
  return undefined;
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, "latin1").split("\n").slice(1);
  } catch {
    return [];
  }
}
