import { Scope } from "@atoll/base/scope";
import { temporaryDatabase } from "@atoll/db/testing/temporary-database";
import { afterAll, beforeAll } from "vitest";
import { temporaryReceiptIssuer } from "./temporary-receipt-issuer.ts";

/** For the tests of one file: there from the first to the last of them. */
export function databaseAndIssuer() {
  const scope = new Scope();
  const open = async () => ({
    database: scope.own(await temporaryDatabase()),
    issuer: scope.own(await temporaryReceiptIssuer()),
  });
  const suite = {} as Awaited<ReturnType<typeof open>>;
  beforeAll(async () => void Object.assign(suite, await open()));
  afterAll(() => scope.close());
  return suite;
}
