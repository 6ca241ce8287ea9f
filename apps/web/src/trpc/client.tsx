"use client";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createTRPCClient, httpBatchStreamLink, httpSubscriptionLink, splitLink } from "@trpc/client";
import { createTRPCContext } from "@trpc/tanstack-react-query";
import { type ReactNode, useState } from "react";
import superjson from "superjson";
import type { RootRouter } from "#server/routers/root.ts";
import { toFailure } from "#ui/failure.ts";

const context = createTRPCContext<RootRouter>();
export const { useTRPC, useTRPCClient } = context;

const ENDPOINT = "/api/trpc";

function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 30_000,
        // A refusal stays a refusal; only a missing answer is worth asking again.
        retry: (count, error) => count < 3 && toFailure(error).code === "link.lost",
      },
    },
  });
}

function createClient() {
  return createTRPCClient<RootRouter>({
    links: [
      splitLink({
        condition: (operation) => operation.type === "subscription",
        true: httpSubscriptionLink({ url: ENDPOINT, transformer: superjson }),
        false: httpBatchStreamLink({ url: ENDPOINT, transformer: superjson, maxItems: 10 }),
      }),
    ],
  });
}

export function TrpcProvider({ children }: { children: ReactNode }) {
  const [queryClient] = useState(createQueryClient);
  const [client] = useState(createClient);
  return (
    <QueryClientProvider client={queryClient}>
      <context.TRPCProvider trpcClient={client} queryClient={queryClient}>
        {children}
      </context.TRPCProvider>
    </QueryClientProvider>
  );
}
