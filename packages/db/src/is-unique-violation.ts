import { Prisma } from "./generated/client.ts";

/** Prisma's code for a broken unique constraint or primary key. */
const UNIQUE_VIOLATION = "P2002";

export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === UNIQUE_VIOLATION;
}
