import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { everyCrash } from "@atoll/durable/testing/every-crash";
import { expect, test } from "vitest";
import { cookieKey } from "./cookie-key.ts";

test("cookies that were signed hold after every crash, and there is always a whole key", async () => {
  const directory = await mkdtemp(join(tmpdir(), "atoll-key-"));
  try {
    let used = "";
    await everyCrash({
      directory,
      run: async (recorder) => {
        used = (await cookieKey(join(directory, "secrets", "key"))).toString("hex");
        recorder.acknowledge("used");
      },
      check: async (crashed, { acknowledged }) => {
        const found = (await cookieKey(join(crashed, "secrets", "key"))).toString("hex");
        expect(found).toMatch(/^[0-9a-f]{64}$/);
        if (acknowledged.length > 0) expect(found).toBe(used);
      },
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});
