import { randomInt } from "node:crypto";

const ADJECTIVES =
  "amber brave calm clear coral crisp deep eager early fair fleet fresh gentle glad golden green happy keen kind light lively lucky mellow merry noble polar proud quick quiet rapid silver sunny swift tidal warm wild".split(
    " ",
  );
const ANIMALS =
  "albatross barnacle bonito crab crane dolphin dugong eel egret ferret gannet gecko gull heron ibis kestrel limpet lobster manatee marlin marten nautilus octopus osprey otter pelican petrel puffin ray seal shrimp squid stork tern turtle whale".split(
    " ",
  );
/** Without letters and digits that are mistaken for each other when read aloud or copied. */
const TAIL_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";
const TAIL_CHARS = 6;

/** A host label like `brave-otter-x7k2m9`: two words to recognise it by, a random tail that nobody guesses. */
export function newSlug(): string {
  let tail = "";
  for (let index = 0; index < TAIL_CHARS; index += 1) tail += TAIL_ALPHABET[randomInt(TAIL_ALPHABET.length)];
  return `${ADJECTIVES[randomInt(ADJECTIVES.length)]}-${ANIMALS[randomInt(ANIMALS.length)]}-${tail}`;
}
