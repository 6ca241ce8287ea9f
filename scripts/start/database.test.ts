import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { StepFailure } from "../bootstrap/progress.mjs";
import { provideDatabase } from "./database.ts";
import { freePort } from "./free-port.ts";
import { makeLayout } from "./layout.ts";
import { provideSecrets } from "./secrets.ts";

let data: string;

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), "atoll-database-"));
});

afterEach(() => rmSync(data, { recursive: true, force: true }));

async function failureOf(ownerUrl: string | undefined): Promise<StepFailure> {
  const layout = makeLayout(data);
  const failure = await provideDatabase({
    ...{ layout, secrets: await provideSecrets(layout.secrets), ownerUrl, nativeSchemaEngine: undefined },
    ...{ durable: false, signal: new AbortController().signal, report: () => {}, onNote: () => {} },
  }).catch((error: unknown) => error);
  if (!(failure instanceof StepFailure)) throw failure;
  return failure;
}

it("a database that is elsewhere and not there is named without its password, with what to check", async () => {
  const port = await freePort();
  const failure = await failureOf(`postgresql://owner:secret-of-it@127.0.0.1:${port}/school`);
  expect(failure.message).toMatch(
    new RegExp(`^the database school at 127\\.0\\.0\\.1:${port} cannot be used: .*REFUSED`),
  );
  expect(failure.remedy).toMatch(/ATOLL_DATABASE_OWNER_URL/);
  expect(failure.message + failure.remedy).not.toContain("secret-of-it");
});

it("a database that was brought along and cannot start says what stands in its way", async () => {
  writeFileSync(join(data, "postgres"), "");
  const failure = await failureOf(undefined);
  expect(failure.message).toMatch(/^the database did not start: .*postgres/);
  expect(failure.remedy).toMatch(/disk is full/);
});
