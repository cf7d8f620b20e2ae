/** The translation of the page that is drawn, for the small parts that every page uses. */

import { createContext, useContext } from 'react';
import { nullTranslator, type TranslationBundle } from '@jupyterlab/translation';

export const Words = createContext<TranslationBundle>(nullTranslator.load('studio'));

export function useWords(): TranslationBundle {
  return useContext(Words);
}
