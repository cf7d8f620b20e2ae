/** What the page that imports a graph knows: files, what it has to ask, the request. */

import type { DocumentsImportDocumentRequest } from '@nexus-workbench/contract';

/** For the file dialog: what `export` writes, and ONNX files of anybody's. */
export const ACCEPT = '.json,.graph.json,.onnx';
export const ACCEPT_WEIGHTS = '.safetensors';

/** What only a person can say of an ONNX file: which output, and how long what it leaves open is. */
export interface Asks {
  /** An output that it has, as an example; null if nothing is asked. */
  answer: string | null;
  /** Such as `length=128`; null if nothing is asked. */
  sizes: string | null;
}

export const NOTHING: Asks = { answer: null, sizes: null };

/** Whether a file brings its own weights. */
export function isOnnx(name: string): boolean {
  return name.toLowerCase().endsWith('.onnx');
}

/** What a file is called without its ending. */
export function stem(name: string): string {
  return name.replace(/\.graph\.json$|\.[^.]*$/i, '') || name;
}

/**
 * What is asked after a refusal: its hint names the parameter, with an example. What was asked
 * before stays, so that what was answered stays.
 */
export function asked(before: Asks, hint: string): Asks {
  const answer = /\banswer=(?:'([^']*)'|"([^"]*)")/.exec(hint);
  const sizes = /\bsizes=\{(?:"([^"]*)"|'([^']*)'): *(\d+)\}/.exec(hint);
  return {
    answer: answer ? (answer[1] ?? answer[2]!) : before.answer,
    sizes: sizes ? `${sizes[1] ?? sizes[2]!}=${sizes[3]!}` : before.sizes
  };
}

/** `length=128, width=64` as the service takes it; null if it does not say that. */
export function sizesOf(typed: string): Record<string, number> | null {
  const found: [string, number][] = [];
  for (const part of typed.split(',')) {
    if (part.trim()) {
      // A name may hold a sign of its own: what is after the last one is the number.
      const said = /^(.+)[=:]\s*(\d{1,9})$/s.exec(part.trim());
      const name = said?.[1]!.trim();
      if (!name || Number(said![2]) < 1) {
        return null;
      }
      found.push([name, Number(said![2])]);
    }
  }
  return Object.fromEntries(found);
}

export interface Given {
  name: string;
  answer: string;
  sizes: string;
}

/** What the service is asked, of a file by that name; `source` and `weights` are where they are. */
export function request(
  file: string,
  source: string,
  weights: string,
  asks: Asks,
  given: Given
): DocumentsImportDocumentRequest {
  const onnx = isOnnx(file);
  return {
    source,
    name: given.name.trim(),
    weights: onnx ? '' : weights,
    answer: onnx && asks.answer !== null ? given.answer.trim() : '',
    sizes: onnx && asks.sizes !== null ? (sizesOf(given.sizes) ?? {}) : {}
  };
}
