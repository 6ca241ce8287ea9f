import { deferred } from "@atoll/base/deferred";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { FileEntry } from "@atoll/protocol/messages/files";
import { describe, expect, it, vi } from "vitest";
import { PREVIEW_MAX_BYTES, PreviewModel } from "./preview-model.ts";

const entry = (sizeBytes: number): FileEntry => ({
  name: "a",
  kind: "file",
  sizeBytes,
  modifiedAtMs: 5,
  mode: 0o644,
  version: "1",
});

function setup(bytes: Uint8Array, sizeBytes = bytes.length) {
  const files = {
    stat: vi.fn(async (_path: string) => entry(sizeBytes)),
    read: vi.fn(async (_path: string) => ({ entry: entry(sizeBytes), bytes })),
  };
  return { files, preview: new PreviewModel(files) };
}

describe("preview of a stored file", () => {
  it("shows text as text and leaves the rest alone", async () => {
    const { preview } = setup(new TextEncoder().encode("hello"));
    await preview.open("/view/workspace/a.txt");
    expect(preview.state.get()).toMatchObject({ phase: "text", text: "hello", modifiedAtMs: 5 });
    const binary = setup(new Uint8Array([1, 0, 2]));
    await binary.preview.open("/view/workspace/a.bin");
    expect(binary.preview.state.get().phase).toBe("binary");
  });

  it("does not fetch what is too large to read", async () => {
    const { files, preview } = setup(new Uint8Array(), PREVIEW_MAX_BYTES + 1);
    await preview.open("/view/workspace/a.log");
    expect(preview.state.get().phase).toBe("too_large");
    expect(files.read).not.toHaveBeenCalled();
  });

  it("keeps to the file that was asked for last, and names what went wrong", async () => {
    const { files, preview } = setup(new TextEncoder().encode("first"));
    const slow = deferred<FileEntry>();
    files.stat.mockReturnValueOnce(slow.promise);
    const first = preview.open("/view/a");
    files.stat.mockRejectedValueOnce(new AtollError("file.denied"));
    await preview.open("/view/b");
    slow.resolve(entry(5));
    await first;
    expect(preview.state.get()).toMatchObject({
      path: "/view/b",
      phase: "failed",
      error: { code: "file.denied" },
    });
  });
});
