/** Where the bytes of a download go: to a file of the person's choice where the browser can, else through memory. */

export interface DownloadSink {
  /** Resolves when more may come. */
  write(bytes: Uint8Array): Promise<void>;
  finish(): Promise<void>;
  /** Leaves no half file behind. */
  abandon(): Promise<void>;
}

/** Undefined: the person changed their mind. `sizeBytes` when it is known. */
export type OpenSink = (name: string, sizeBytes: number | undefined) => Promise<DownloadSink | undefined>;

/** Up to here a plain download is simpler for everyone than a dialog. */
const IN_MEMORY_MAX_BYTES = 32 * 1024 * 1024;

interface FileHandle {
  createWritable(): Promise<{
    write(bytes: Uint8Array): Promise<void>;
    close(): Promise<void>;
    abort(): Promise<void>;
  }>;
}

interface Browser {
  /** Not in every browser, and only after a click or key. */
  showSaveFilePicker?: ((options: { suggestedName: string }) => Promise<FileHandle>) | undefined;
  saveBlob(blob: Blob, name: string): void;
}

export function browserSink(browser: Browser): OpenSink {
  return async (name, sizeBytes) => {
    const isSmall = sizeBytes !== undefined && sizeBytes <= IN_MEMORY_MAX_BYTES;
    if (isSmall || !browser.showSaveFilePicker) return memorySink(name, browser);
    try {
      const handle = await browser.showSaveFilePicker({ suggestedName: name });
      const file = await handle.createWritable();
      return {
        write: (bytes) => file.write(bytes),
        finish: () => file.close(),
        abandon: () => file.abort(),
      };
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return undefined;
      // A dialog was not allowed at this moment: the plain way still works.
      return memorySink(name, browser);
    }
  };
}

function memorySink(name: string, browser: Browser): DownloadSink {
  let parts: Uint8Array<ArrayBuffer>[] = [];
  return {
    async write(bytes) {
      parts.push(new Uint8Array(bytes));
    },
    async finish() {
      browser.saveBlob(new Blob(parts, { type: "application/octet-stream" }), name);
      parts = [];
    },
    async abandon() {
      parts = [];
    },
  };
}

/** The real one. */
export function windowSink(): OpenSink {
  const holder = window as typeof window & Pick<Browser, "showSaveFilePicker">;
  return browserSink({
    showSaveFilePicker: holder.showSaveFilePicker?.bind(window),
    saveBlob(blob, name) {
      const url = URL.createObjectURL(blob);
      const link = document.createElement("a");
      link.href = url;
      link.download = name;
      link.click();
      // The browser has taken it by the time anyone could click again.
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    },
  });
}
