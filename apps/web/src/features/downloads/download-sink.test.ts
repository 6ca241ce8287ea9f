import { describe, expect, it, vi } from "vitest";
import { browserSink } from "./download-sink.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const LARGE = 1024 ** 3;

describe("download sink", () => {
  it("writes what is large, or of unknown size, straight to the chosen file", async () => {
    const file = { write: vi.fn(async () => {}), close: vi.fn(async () => {}), abort: vi.fn(async () => {}) };
    const showSaveFilePicker = vi.fn(async () => ({ createWritable: async () => file }));
    const saveBlob = vi.fn();
    const open = browserSink({ showSaveFilePicker, saveBlob });
    const sink = await open("all.zip", undefined);
    await sink?.write(bytes("abc"));
    await sink?.finish();
    expect(showSaveFilePicker).toHaveBeenCalledWith({ suggestedName: "all.zip" });
    expect(file.write).toHaveBeenCalledWith(bytes("abc"));
    expect(file.close).toHaveBeenCalledOnce();
    expect(saveBlob).not.toHaveBeenCalled();
    await (await open("big.bin", LARGE))?.abandon();
    expect(file.abort).toHaveBeenCalledOnce();
  });

  it("keeps small files in memory, and everything where the browser knows no files", async () => {
    const saved: Array<[string, string]> = [];
    const saveBlob = (blob: Blob, name: string) => void blob.text().then((text) => saved.push([name, text]));
    const showSaveFilePicker = vi.fn();
    const small = await browserSink({ showSaveFilePicker, saveBlob })("a.txt", 6);
    const chunk = bytes("abc");
    await small?.write(chunk);
    // The reader may use its buffer again.
    chunk.fill(0);
    await small?.write(bytes("def"));
    await small?.finish();
    const old = await browserSink({ saveBlob })("all.zip", undefined);
    await old?.write(bytes("zip"));
    await old?.finish();
    await vi.waitFor(() =>
      expect(saved).toEqual([
        ["a.txt", "abcdef"],
        ["all.zip", "zip"],
      ]),
    );
    expect(showSaveFilePicker).not.toHaveBeenCalled();
  });

  it("is none when the person closes the dialog, and the plain way when the dialog was not allowed", async () => {
    const saveBlob = vi.fn();
    const cancelled = async () => {
      throw new DOMException("", "AbortError");
    };
    expect(await browserSink({ showSaveFilePicker: cancelled, saveBlob })("x", LARGE)).toBeUndefined();
    const refused = async () => {
      throw new DOMException("", "SecurityError");
    };
    const sink = await browserSink({ showSaveFilePicker: refused, saveBlob })("x", LARGE);
    await sink?.finish();
    expect(saveBlob).toHaveBeenCalledOnce();
  });
});
