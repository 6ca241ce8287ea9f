import { AtollError } from "@atoll/protocol/atoll-error";
import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { log } from "#server/log.ts";
import { rootRouter } from "#server/routers/root.ts";
import { createContext } from "#server/trpc/create-context.ts";
import { toWireFailure } from "#server/trpc/to-wire-error.ts";

/** Every input is a handful of short fields. */
const MAX_BODY_BYTES = 64 * 1024;

async function handle(request: Request): Promise<Response> {
  if (request.method === "POST") {
    const sizeBytes = Number(request.headers.get("content-length") ?? Number.NaN);
    if (!(sizeBytes <= MAX_BODY_BYTES)) {
      const error = new AtollError("request.too_large");
      return Response.json(error.toWire(), { status: error.http });
    }
  }
  return fetchRequestHandler({
    endpoint: "/api/trpc",
    req: request,
    router: rootRouter,
    createContext: () => createContext(request.headers.get("origin")),
    responseMeta: ({ errors }) => {
      const headers = new Headers({ "cache-control": "no-store" });
      const only = errors.length === 1 ? errors[0] : undefined;
      return only ? { status: toWireFailure(only).http, headers } : { headers };
    },
    onError: ({ error, path }) => {
      const failure = toWireFailure(error);
      if (failure.code === "internal") log().error({ path, err: error.cause ?? error }, "procedure failed");
    },
  });
}

export { handle as GET, handle as POST };
