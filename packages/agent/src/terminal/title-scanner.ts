import { withoutControls } from "../system/without-controls.ts";

const ESC = 0x1b;
const BEL = 0x07;
const CLOSE_BRACKET = 0x5d;
const BACKSLASH = 0x5c;
const TITLE_MAX_CHARACTERS = 200;
/** A title's bytes: 200 characters of four bytes, and the rest of a longer one is not looked at. */
const TITLE_MAX_BYTES = 4 * TITLE_MAX_CHARACTERS;

/** Finds `ESC ] 0;title BEL` and `ESC ] 2;title ST` in output cut anywhere. */
export class TitleScanner {
  /** `escape` inside `body`: the ESC of a string terminator may have been seen. */
  #state: "text" | "escape" | "body" | "body-escape" = "text";
  #body: number[] = [];

  /** The newest title that `bytes` completed. */
  scan(bytes: Uint8Array): string | undefined {
    let title: string | undefined;
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === "text") {
        at = bytes.indexOf(ESC, at);
        if (at < 0) return title;
        at++;
        this.#state = "escape";
        continue;
      }
      const byte = bytes[at++] as number;
      if (this.#state === "escape") this.#onEscape(byte);
      else title = this.#onBody(byte) ?? title;
    }
    return title;
  }

  #onEscape(byte: number): void {
    this.#body = [];
    this.#state = byte === CLOSE_BRACKET ? "body" : byte === ESC ? "escape" : "text";
  }

  #onBody(byte: number): string | undefined {
    if (this.#state === "body-escape") {
      if (byte === BACKSLASH) return this.#finish();
      // ESC cancels the sequence and begins another one.
      this.#onEscape(byte);
      return undefined;
    }
    if (byte === BEL) return this.#finish();
    if (byte === ESC) this.#state = "body-escape";
    else if (byte === 0x18 || byte === 0x1a) this.#state = "text";
    else if (this.#body.length < TITLE_MAX_BYTES) this.#body.push(byte);
    return undefined;
  }

  #finish(): string | undefined {
    this.#state = "text";
    const text = Buffer.from(this.#body).toString("utf8");
    this.#body = [];
    const match = /^[02];(.*)$/s.exec(text);
    return match?.[1] === undefined ? undefined : cleanTitle(match[1]);
  }
}

/** Control characters and those that reorder the text around them have no place in a tab. */
function cleanTitle(text: string): string {
  const clean = withoutControls(text)
    .replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffd]/g, "")
    .trim();
  return clean.slice(0, TITLE_MAX_CHARACTERS).replace(/[\ud800-\udbff]$/, "");
}
