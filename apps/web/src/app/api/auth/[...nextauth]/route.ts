import { handlers } from "#server/auth/auth-config.ts";

export const { GET, POST } = handlers;
