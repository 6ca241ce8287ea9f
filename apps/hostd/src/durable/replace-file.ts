/** Lives with the key store, which needs it as well and may not import hostd. */
export { replaceFile, syncDirectory } from "@atoll/keys/replace-file";
