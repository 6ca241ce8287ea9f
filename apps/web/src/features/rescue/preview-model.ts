/** The one file that is looked at: text as text, everything else by its name and size. */
import { type AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { decodeFileText } from "../editor/file-text.ts";
import type { FileClient } from "../files/file-client.ts";
import { ModelState } from "../model-state.ts";

export interface PreviewState {
  path: string | undefined;
  phase: "none" | "loading" | "text" | "binary" | "too_large" | "failed";
  text: string;
  sizeBytes: number;
  modifiedAtMs: number;
  error: AtollError | undefined;
}

/** Above this a preview helps nobody. */
export const PREVIEW_MAX_BYTES = 4 * 1024 * 1024;

const EMPTY = { text: "", sizeBytes: 0, modifiedAtMs: 0, error: undefined };

export class PreviewModel {
  readonly state = new ModelState<PreviewState>({ path: undefined, phase: "none", ...EMPTY });
  readonly #files: Pick<FileClient, "stat" | "read">;

  constructor(files: Pick<FileClient, "stat" | "read">) {
    this.#files = files;
  }

  async open(path: string): Promise<void> {
    this.state.update({ path, phase: "loading", ...EMPTY });
    // Another file may be asked for while this one is on its way.
    const show = (patch: Partial<PreviewState>) => {
      if (this.state.get().path === path) this.state.update(patch);
    };
    try {
      const { sizeBytes, modifiedAtMs } = await this.#files.stat(path);
      show({ sizeBytes, modifiedAtMs });
      if (sizeBytes > PREVIEW_MAX_BYTES) return show({ phase: "too_large" });
      const { bytes } = await this.#files.read(path, PREVIEW_MAX_BYTES);
      const text = decodeFileText(bytes);
      show(text === undefined ? { phase: "binary" } : { phase: "text", text });
    } catch (cause) {
      show({ phase: "failed", error: toAtollError(cause) });
    }
  }
}
