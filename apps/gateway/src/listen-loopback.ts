import type { Server } from "node:http";
import { type AddressInfo, createServer, type Server as NetServer } from "node:net";
import type { Scope } from "@atoll/base/scope";

/**
 * Listens on 127.0.0.1 and, where the machine has it, on ::1: browsers try both for `*.localhost`.
 * The scope stops listening; open connections are their owners' to close. Answers the port (for `port` 0).
 */
export async function listenLoopback(server: Server, port: number, scope: Scope): Promise<number> {
  await listen(server, port, "127.0.0.1");
  scope.defer(() => stop(server));
  const actualPort = (server.address() as AddressInfo).port;
  // An http.Server listens once; a second listener hands it its connections.
  const second = createServer((socket) => server.emit("connection", socket));
  try {
    await listen(second, actualPort, "::1");
  } catch (error) {
    if (!isWithoutIpv6(error)) throw error;
    return actualPort;
  }
  scope.defer(() => stop(second));
  return actualPort;
}

function listen(server: NetServer, port: number, host: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ port, host, exclusive: true }, () => {
    server.removeListener("error", reject);
    resolve();
  });
  return promise;
}

function stop(server: NetServer): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function isWithoutIpv6(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT";
}
