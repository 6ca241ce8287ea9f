/** Text as one clean line. Not by `\p{Cc}`: that would load the tables of all of Unicode for 65 characters. */
export function withoutControls(text: string): string {
  let clean = "";
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    if (code >= 0x20 && (code < 0x7f || code > 0x9f)) clean += character;
  }
  return clean;
}
