import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { everyCrash } from "@atoll/durable/testing/every-crash";
import { expect, test } from "vitest";
import { noteErasure } from "./erasure-note.ts";

test("the times of an erasure that were told stay the same after every crash", async () => {
  const directory = await mkdtemp(join(tmpdir(), "atoll-erased-"));
  const workspaceId = randomUUID();
  const told = { keyDestroyedAtMs: 1, dataUnlinkedAtMs: 2 };
  const later = { keyDestroyedAtMs: 1, dataUnlinkedAtMs: 9 };
  try {
    await everyCrash({
      directory,
      run: async (recorder) => {
        await noteErasure(join(directory, "erased"), workspaceId, told);
        recorder.acknowledge("told");
        await noteErasure(join(directory, "erased"), workspaceId, later);
      },
      check: async (crashed, { acknowledged }) => {
        const found = await noteErasure(join(crashed, "erased"), workspaceId, later);
        expect(acknowledged.length > 0 ? [told] : [told, later]).toContainEqual(found);
      },
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});
