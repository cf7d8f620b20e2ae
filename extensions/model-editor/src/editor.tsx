/** The editor of a graph that several people change at once. */

import {
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
  type ClipboardEvent,
  type JSX,
  type KeyboardEvent,
  type ReactNode
} from 'react';
import { ReactFlowProvider } from '@xyflow/react';
import { roomUrl, type RoomOptions } from './room.ts';
import { Session } from './session.ts';
import { asJson } from './state/graph.ts';
import { time } from './tokens.ts';
import type { Layer } from './wire.ts';
import type { Words } from './words.ts';
import { Canvas } from './views/canvas.tsx';
import { Here, useHere, useStore } from './views/here.ts';
import { Notices } from './views/notices.tsx';
import { Outline } from './views/outline.tsx';
import { Palette } from './views/palette.tsx';
import { People } from './views/people.tsx';
import { Problems } from './views/problems.tsx';
import { Properties } from './views/properties.tsx';
import { Safe } from './views/safe.tsx';

/** What the editor asks the service for, besides its room. */
export interface EditorClient {
  /** The layer table. */
  layers: (signal: AbortSignal) => Promise<readonly Layer[]>;
  /** The graph as Python, if the host can say it; its error says why it cannot be written yet. */
  code?: (signal: AbortSignal) => Promise<string>;
  /** Called before each try to connect: signs in again if need be. */
  prepare?: () => Promise<unknown>;
  /** For tests: opens something like a WebSocket. */
  open?: RoomOptions['open'];
}

/** What the host puts into the editor. */
export interface Extra {
  toolbarEnd?: ReactNode;
  /** Below the canvas. */
  bottom?: ReactNode;
  /** Below a layer's card; the same function at every drawing. */
  nodeExtra?: (id: string) => ReactNode;
}

export interface GraphEditorProps {
  client: EditorClient;
  /** Where the service lives, with a slash at the end: `/services/studio/`. */
  base: string;
  /** Id of the project. */
  project: string;
  /** Id of the document. */
  id: string;
  trans: Words;
  /** Whether the host lets this person change it; the service has the last word. */
  mayWrite: boolean;
  /** Told the document's name. */
  onTitle?: (name: string) => void;
  /** Told the open session, and null when it ends: for what the host adds. */
  onSession?: (session: Session | null) => void;
  extra?: Extra;
}

export function GraphEditor(props: GraphEditorProps): JSX.Element {
  const { client, base, project, id, trans, mayWrite, onTitle, onSession, extra } = props;
  const [session, setSession] = useState<Session | null>(null);
  const [turn, setTurn] = useState(0);
  const [error, setError] = useState('');
  // The newest, without opening the room again for a new function.
  const newest = useRef({ client, onTitle, onSession });
  useEffect(() => {
    newest.current = { client, onTitle, onSession };
  });

  useEffect(() => {
    const { client: asked } = newest.current;
    const opened = new Session({
      url: roomUrl(base, globalThis.location.href, id, project),
      words: trans,
      mayWrite,
      prepare: () => Promise.resolve(newest.current.client.prepare?.()),
      ...(asked.open ? { open: asked.open } : {})
    });
    const stop = new AbortController();
    asked.layers(stop.signal).then(
      layers => opened.layers.set(new Map(layers.map(layer => [layer.name, layer]))),
      (reason: unknown) => {
        if (!stop.signal.aborted) {
          setError(reason instanceof Error ? reason.message : String(reason));
        }
      }
    );
    let title = '';
    const tell = (): void => {
      const name = opened.room.state.get().hello?.name ?? '';
      if (name && name !== title) {
        title = name;
        newest.current.onTitle?.(name);
      }
    };
    const untell = opened.room.state.subscribe(tell);
    opened.room.connect();
    setSession(opened);
    setError('');
    newest.current.onSession?.(opened);
    return () => {
      stop.abort();
      untell();
      opened.leave();
      setSession(null);
      newest.current.onSession?.(null);
    };
  }, [base, project, id, trans, mayWrite, turn]);

  const nodeExtra = extra?.nodeExtra;
  const here = useMemo(
    () => (session ? { session, words: trans, nodeExtra } : null),
    [session, trans, nodeExtra]
  );
  if (!here) {
    return <p className="nx-GraphEmpty">{trans.__('Opening the graph …')}</p>;
  }
  return (
    <Here.Provider value={here}>
      <ReactFlowProvider>
        {error && (
          <div className="nx-GraphNote" role="alert">
            <span>
              <strong>{trans.__('The table of layers could not be loaded.')}</strong> {error}
            </span>
            <button type="button" onClick={() => setTurn(count => count + 1)}>
              {trans.__('Retry')}
            </button>
          </div>
        )}
        <Whole extra={extra} ask={client.code} onReload={() => setTurn(count => count + 1)} />
      </ReactFlowProvider>
    </Here.Provider>
  );
}

type Tab = 'properties' | 'outline' | 'problems' | 'code';

function Whole({
  extra,
  ask,
  onReload
}: {
  extra: Extra | undefined;
  ask: EditorClient['code'];
  onReload: () => void;
}): JSX.Element {
  const { session, words } = useHere();
  const { synced } = useStore(session.room.state);
  const writable = useStore(session.mayWrite);
  const told = useStore(session.told);
  const search = useRef<HTMLInputElement>(null);
  const root = useRef<HTMLDivElement>(null);
  const [tab, setTab] = useState<Tab>('properties');

  const toCanvas = (): void => root.current?.querySelector<HTMLElement>('.nx-GraphCanvas')?.focus();

  const onKeyDown = (event: KeyboardEvent): void => {
    const target = event.target as HTMLElement;
    if (target.closest('input, select, textarea, [contenteditable="true"]')) {
      return;
    }
    const accel = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const act = ((): (() => void) | null => {
      if (accel && !event.altKey) {
        switch (key) {
          case 'z':
            return event.shiftKey ? () => session.redo() : () => session.undo();
          case 'y':
            return () => session.redo();
          case 'd':
            return () => session.duplicate();
          case 'a':
            return () => session.selectAll();
          case 'g':
            return event.shiftKey ? () => session.ungroup() : () => session.group();
          default:
            return null;
        }
      }
      if (event.altKey || accel || target.closest('button, a, summary')) {
        return null;
      }
      switch (key) {
        case 'delete':
        case 'backspace':
          return () => session.removeSelected();
        case 'escape':
          return () => session.select({});
        case 'a':
          return () => search.current?.focus();
        case 'f':
          return () => session.reveal();
        case 'enter':
          return () => {
            setTab('properties');
            requestAnimationFrame(() =>
              root.current?.querySelector<HTMLElement>('.nx-GraphSide input')?.focus()
            );
          };
        default:
          return null;
      }
    })();
    if (act) {
      event.preventDefault();
      event.stopPropagation();
      act();
    }
  };

  const clips = (event: ClipboardEvent): boolean =>
    !(event.target as HTMLElement).closest('input, select, textarea, pre') &&
    (document.getSelection()?.isCollapsed ?? true);
  const onCopy = (event: ClipboardEvent, cut: boolean): void => {
    const text = clips(event) ? session.copy() : '';
    if (text) {
      event.preventDefault();
      event.clipboardData.setData('text/plain', text);
      if (cut) {
        session.removeSelected();
      }
    }
  };

  return (
    <div
      ref={root}
      className="nx-Graph"
      onKeyDown={onKeyDown}
      onCopy={event => onCopy(event, false)}
      onCut={event => onCopy(event, true)}
      onPaste={event => {
        if (clips(event)) {
          event.preventDefault();
          session.paste(event.clipboardData.getData('text/plain'));
        }
      }}
    >
      <Toolbar end={extra?.toolbarEnd} onAdd={() => search.current?.focus()} />
      <Notices onReload={onReload} />
      <div className="nx-GraphBody">
        {writable && <Palette ref={search} onDone={toCanvas} />}
        <div className="nx-GraphMiddle">
          {synced ? <Canvas /> : <p className="nx-GraphEmpty">{words.__('Opening the graph …')}</p>}
          <p className="nx-GraphTold" role="status">
            {told?.text}
          </p>
        </div>
        <Side tab={tab} setTab={setTab} ask={ask} />
      </div>
      {extra?.bottom && <div className="nx-GraphBottom">{extra.bottom}</div>}
    </div>
  );
}

function Toolbar({ end, onAdd }: { end: ReactNode; onAdd: () => void }): JSX.Element {
  const { session, words } = useHere();
  const writable = useStore(session.mayWrite);
  const { undo, redo } = useStore(session.document.history);
  const { nodes, edges, groups } = useStore(session.selection);
  const some = nodes.size + groups.size > 0;
  const acts: [text: string, title: string, on: boolean, act: () => void][] = [
    [words.__('Add'), words.__('Add a layer (A)'), true, onAdd],
    [words.__('Undo'), words.__('Take back your last change (Ctrl+Z)'), undo, () => session.undo()],
    [words.__('Redo'), words.__('Do it again (Ctrl+Shift+Z)'), redo, () => session.redo()],
    [words.__('Duplicate'), words.__('Duplicate what is chosen (Ctrl+D)'), some, () => session.duplicate()],
    [words.__('Group'), words.__('Put a frame around what is chosen (Ctrl+G)'), some, () => session.group()],
    [words.__('Remove'), words.__('Remove what is chosen (Delete)'), some || edges.size > 0, () => session.removeSelected()],
    [words.__('Lay out'), words.__('Place what is chosen, or all, by its connections'), true, () => session.arrange()]
  ];
  return (
    <div className="nx-GraphBar" role="toolbar" aria-label={words.__('Graph')}>
      {writable &&
        acts.map(([text, title, on, act]) => (
          <button key={text} type="button" title={title} disabled={!on} onClick={act}>
            {text}
          </button>
        ))}
      <button type="button" title={words.__('Show the whole graph (F)')} onClick={() => session.reveal()}>
        {words.__('Show all')}
      </button>
      <span className="nx-GraphBar-gap" />
      <Safe />
      <People />
      {end}
    </div>
  );
}

function Side({
  tab,
  setTab,
  ask
}: {
  tab: Tab;
  setTab: (tab: Tab) => void;
  ask: EditorClient['code'];
}): JSX.Element {
  const { session, words } = useHere();
  const { problems } = useStore(session.room.meaning);
  const tabs: [Tab, string][] = [
    ['properties', words.__('Properties')],
    ['outline', words.__('Outline')],
    ['problems', problems.length > 0 ? words.__('Problems (%1)', problems.length) : words.__('Problems')],
    ['code', words.__('Code')]
  ];
  const list = useRef<HTMLDivElement>(null);
  const own = useId();
  return (
    <aside className="nx-GraphSide" aria-label={words.__('What is chosen, and what the graph says')}>
      <div
        ref={list}
        role="tablist"
        onKeyDown={event => {
          const by = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
          if (by !== 0) {
            const at = tabs.findIndex(([name]) => name === tab);
            const next = (at + by + tabs.length) % tabs.length;
            setTab(tabs[next]![0]);
            (list.current?.children[next] as HTMLElement | undefined)?.focus();
            event.preventDefault();
          }
        }}
      >
        {tabs.map(([name, text]) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`${own}-${name}`}
            aria-selected={name === tab}
            aria-controls={own}
            tabIndex={name === tab ? 0 : -1}
            onClick={() => setTab(name)}
          >
            {text}
          </button>
        ))}
      </div>
      <div id={own} role="tabpanel" aria-labelledby={`${own}-${tab}`} tabIndex={0}>
        {tab === 'properties' ? (
          <Properties />
        ) : tab === 'outline' ? (
          <Outline />
        ) : tab === 'problems' ? (
          <Problems />
        ) : (
          <Code ask={ask} />
        )}
      </div>
    </aside>
  );
}

function Code({ ask }: { ask: EditorClient['code'] }): JSX.Element {
  const { session, words } = useHere();
  const graph = useStore(session.document.graph);
  const { unsafe } = useStore(session.room.state);
  const [told, setTold] = useState<{ code: string; why: string } | null>(null);
  // Asked for when everything is safe: the service writes what it has.
  useEffect(() => {
    if (!ask || unsafe > 0) {
      return;
    }
    const stop = new AbortController();
    const timer = setTimeout(() => {
      ask(stop.signal).then(
        code => setTold({ code, why: '' }),
        (reason: unknown) => {
          if (!stop.signal.aborted) {
            const why = reason instanceof Error ? reason.message : String(reason);
            const hint =
              reason instanceof Error && 'hint' in reason && typeof reason.hint === 'string'
                ? reason.hint
                : '';
            setTold(old => ({ code: old?.code ?? '', why: [why, hint].filter(Boolean).join(' ') }));
          }
        }
      );
    }, time.code);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [ask, unsafe, graph]);
  if (!ask) {
    return (
      <pre className="nx-GraphCode" tabIndex={0} aria-label={words.__('The graph as JSON')}>
        {asJson(graph)}
      </pre>
    );
  }
  return (
    <>
      {told?.why && (
        <p className="nx-GraphHint" role="status">
          {told.why}
        </p>
      )}
      {told?.code ? (
        <>
          <button type="button" onClick={() => void navigator.clipboard.writeText(told.code)}>
            {words.__('Copy')}
          </button>
          <pre className="nx-GraphCode" tabIndex={0} aria-label={words.__('The graph as Python')}>
            {told.code}
          </pre>
        </>
      ) : (
        !told && <p className="nx-GraphHint">{words.__('Writing the code …')}</p>
      )}
    </>
  );
}
