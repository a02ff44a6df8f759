// Compress the scripts and decoders of a folder with Brotli: `node .ci/compress.mjs FOLDER` writes FILE.br beside each.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const folder = process.argv[2];
for (const name of readdirSync(folder)) {
  if (!/\.(js|css|wasm)$/.test(name)) continue;
  const data = readFileSync(join(folder, name));
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: data.length };
  writeFileSync(join(folder, `${name}.br`), brotliCompressSync(data, { params }));
}
