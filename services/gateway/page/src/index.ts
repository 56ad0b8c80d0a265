export * from "./client.ts";
export { ABSENT, blockOf, FINAL, MASKED, Scalogram, type Block, type Picture } from "./scalogram.ts";
