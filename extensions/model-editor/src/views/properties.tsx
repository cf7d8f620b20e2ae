/** What is chosen, as a form: a layer's parameters, a group's name, what to do with several. */

import {
  useEffect,
  useMemo,
  useRef,
  useState,
  type ChangeEvent,
  type JSX,
  type KeyboardEvent
} from 'react';
import type { GraphGroup, GraphNode } from '../document.ts';
import { settled } from '../pace.ts';
import { bytes, called, members, say, shape, short } from '../state/graph.ts';
import { DEEPEST, MOST } from '../state/arguments.ts';
import {
  LONGEST,
  example,
  lines,
  near,
  parse,
  says,
  searched,
  written,
  type Misfit
} from '../state/params.ts';
import { time } from '../tokens.ts';
import type { Json, Parameter } from '../wire.ts';
import type { Words } from '../words.ts';
import { Connections } from './connections.tsx';
import { Field, Searched } from './field.tsx';
import { useHere, useStore } from './here.ts';

export function Properties(): JSX.Element {
  const { session, words } = useHere();
  const selection = useStore(session.selection);
  const graph = useStore(session.document.graph);
  const [node] = [...selection.nodes].map(id => graph.nodes.get(id));
  const [group] = [...selection.groups].map(id => graph.groups.get(id));
  const [edge] = [...selection.edges].map(id => graph.edges.get(id));
  const count = selection.nodes.size + selection.groups.size;
  if (node && count === 1) {
    return <OfNode key={node.id} node={node} />;
  }
  if (group && count === 1) {
    return <OfGroup key={group.id} group={group} />;
  }
  if (count > 1) {
    return <OfSeveral />;
  }
  if (edge) {
    const [from, to] = [graph.nodes.get(edge.source), graph.nodes.get(edge.target)];
    return (
      <div className="nx-GraphForm">
        <h2>{words.__('Connection')}</h2>
        <p>
          {words.__('From %1 to %2.', from ? called(from) : edge.source, to ? called(to) : edge.target)}
        </p>
        <p>{words.__('Leaves by “%1”, arrives at “%2”.', edge.output, edge.port)}</p>
        <RemoveButton />
      </div>
    );
  }
  return <OfGraph />;
}

function RemoveButton(): JSX.Element | null {
  const { session, words } = useHere();
  return useStore(session.mayWrite) ? (
    <button type="button" onClick={() => session.removeSelected()}>
      {words.__('Remove')}
    </button>
  ) : null;
}

function OfGraph(): JSX.Element {
  const { session, words } = useHere();
  const graph = useStore(session.document.graph);
  const { parameters, flops, activation_bytes } = useStore(session.room.meaning);
  const training = Object.entries(graph.training);
  return (
    <div className="nx-GraphForm">
      <h2>{words.__('The graph')}</h2>
      <dl>
        <dt>{words.__('Layers')}</dt>
        <dd>{short(graph.nodes.size)}</dd>
        <dt>{words.__('Connections')}</dt>
        <dd>{short(graph.edges.size)}</dd>
        <Amounts parameters={parameters} flops={flops} memory={activation_bytes} />
      </dl>
      {training.length > 0 && (
        <>
          <h3>{words.__('Training')}</h3>
          <dl>
            {training.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{say(value)}</dd>
              </div>
            ))}
          </dl>
        </>
      )}
      <Begun weights={graph.data.weights} />
      <p>{words.__('Choose a layer to see and change its parameters.')}</p>
    </div>
  );
}

/** Says that training goes on from numbers that were read; without them, it begins with none. */
function Begun({ weights }: { weights: Json | undefined }): JSX.Element | null {
  const { session, words } = useHere();
  const writable = useStore(session.mayWrite);
  if (!weights) {
    return null;
  }
  return (
    <div className="nx-GraphRow">
      <span>{words.__('Begins with weights that were read')}</span>
      {writable && (
        <button
          type="button"
          onClick={event => {
            // The button goes: who came by keys stays where they can take it back.
            event.currentTarget.closest<HTMLElement>('[role="tabpanel"]')?.focus();
            session.document.setData({ weights: undefined });
            session.say(words.__('The layers begin anew.'));
          }}
        >
          {words.__('Begin anew')}
        </button>
      )}
    </div>
  );
}

function Amounts({
  parameters,
  flops,
  memory
}: {
  parameters: number | null;
  flops: number | null;
  memory: number | null;
}): JSX.Element {
  const { words } = useHere();
  return (
    <>
      {parameters !== null && (
        <>
          <dt>{words.__('Parameters')}</dt>
          <dd>{parameters.toLocaleString()}</dd>
        </>
      )}
      {flops !== null && (
        <>
          <dt title={words.__('Floating-point operations for one row')}>{words.__('Operations')}</dt>
          <dd>{short(flops)}</dd>
        </>
      )}
      {memory !== null && (
        <>
          <dt title={words.__('Memory for what leaves the layers, for one row')}>
            {words.__('Activations')}
          </dt>
          <dd>{bytes(memory)}</dd>
        </>
      )}
    </>
  );
}

function OfNode({ node }: { node: GraphNode }): JSX.Element {
  const { session, words } = useHere();
  const layers = useStore(session.layers);
  const writable = useStore(session.mayWrite);
  const meaning = useStore(session.room.meaning).nodes.get(node.id);
  const layer = layers?.get(node.layer);
  const unknown = Object.keys(node.params).filter(
    name => layer && !layer.params.some(each => each.name === name)
  );
  return (
    <div className="nx-GraphForm">
      <h2>{layer?.title ?? node.layer}</h2>
      {meaning?.problem && (
        <div className="nx-GraphNote" role="alert">
          <strong>{meaning.problem}</strong>
          {meaning.hint && <span> {meaning.hint}</span>}
        </div>
      )}
      {layer ? (
        <p>{layer.meaning}</p>
      ) : (
        <p>{words.__('This Studio knows no layer “%1”.', node.layer)}</p>
      )}
      <TextField
        label={words.__('Name')}
        hint={words.__('For people; its id stays %1.', node.id)}
        value={node.name}
        placeholder={node.id}
        disabled={!writable}
        onChange={name => session.document.rename(node.id, name)}
      />
      {layer?.params.map(parameter => (
        <ParamField
          key={parameter.name}
          parameter={parameter}
          value={node.params[parameter.name]}
          disabled={!writable}
          onChange={value => session.document.setParam(node.id, parameter.name, value)}
        />
      ))}
      {unknown.map(name => (
        <p key={name} className="nx-GraphNote">
          {words.__('“%1” is no parameter of this layer.', name)}{' '}
          {writable && (
            <button type="button" onClick={() => session.document.setParam(node.id, name, undefined)}>
              {words.__('Remove')}
            </button>
          )}
        </p>
      ))}
      {meaning && (
        <dl>
          {Object.entries(meaning.outputs).map(([name, axes]) => (
            <div key={name}>
              <dt>{Object.keys(meaning.outputs).length > 1 ? words.__('Shape of %1', name) : words.__('Shape')}</dt>
              <dd>{shape(axes)}</dd>
            </div>
          ))}
          {meaning.dtype && (
            <>
              <dt>{words.__('Numbers')}</dt>
              <dd>{meaning.dtype}</dd>
            </>
          )}
          <Amounts
            parameters={meaning.parameters}
            flops={meaning.flops}
            memory={meaning.activation_bytes}
          />
          {meaning.receptive_field.length > 0 && (
            <>
              <dt>{words.__('Receptive field')}</dt>
              <dd>{shape(meaning.receptive_field)}</dd>
            </>
          )}
        </dl>
      )}
      <Connections node={node} />
      {layer?.formula && (
        <details>
          <summary>{words.__('Formula and source')}</summary>
          <p>
            <code>{layer.formula}</code>
          </p>
          <p>{layer.source}</p>
        </details>
      )}
      <RemoveButton />
    </div>
  );
}

function OfGroup({ group }: { group: GraphGroup }): JSX.Element {
  const { session, words } = useHere();
  const graph = useStore(session.document.graph);
  const writable = useStore(session.mayWrite);
  return (
    <div className="nx-GraphForm">
      <h2>{words.__('Group')}</h2>
      <TextField
        label={words.__('Name')}
        value={group.name}
        placeholder={group.id}
        disabled={!writable}
        onChange={name => session.document.rename(group.id, name)}
      />
      <p>{words._n('%1 layer', '%1 layers', members(graph, group.id).length)}</p>
      {writable && (
        <div className="nx-GraphRow">
          <button
            type="button"
            aria-pressed={group.folded}
            onClick={() => session.document.fold(group.id, !group.folded)}
          >
            {group.folded ? words.__('Unfold') : words.__('Fold')}
          </button>
          <button type="button" onClick={() => session.ungroup()}>
            {words.__('Ungroup')}
          </button>
          <button type="button" onClick={() => session.removeSelected()}>
            {words.__('Remove with its layers')}
          </button>
        </div>
      )}
    </div>
  );
}

function OfSeveral(): JSX.Element {
  const { session, words } = useHere();
  const writable = useStore(session.mayWrite);
  const selection = useStore(session.selection);
  const acts: [string, () => void][] = [
    [words.__('Align left'), () => session.align('left')],
    [words.__('Align right'), () => session.align('right')],
    [words.__('Align top'), () => session.align('top')],
    [words.__('Align bottom'), () => session.align('bottom')],
    [words.__('Spread across'), () => session.distribute('x')],
    [words.__('Spread down'), () => session.distribute('y')],
    [words.__('Lay out'), () => session.arrange()],
    [words.__('Group'), () => session.group()],
    [words.__('Duplicate'), () => session.duplicate()],
    [words.__('Remove'), () => session.removeSelected()]
  ];
  if (selection.groups.size > 0) {
    acts.splice(8, 0, [words.__('Ungroup'), () => session.ungroup()]);
  }
  return (
    <div className="nx-GraphForm">
      <h2>{words._n('%1 layer chosen', '%1 layers chosen', session.meant().size)}</h2>
      {writable && (
        <div className="nx-GraphRow">
          {acts.map(([text, act]) => (
            <button key={text} type="button" onClick={act}>
              {text}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

/** What is written here, and what the document says when it says something else. */
function useDraft(
  value: string,
  means?: (text: string) => boolean
): [string, (text: string) => void] {
  const [draft, setDraft] = useState(value);
  const [known, setKnown] = useState(value);
  if (known !== value) {
    setKnown(value);
    // Whoever writes goes on where they are, though the document would write it otherwise.
    if (!means?.(draft)) {
      setDraft(value);
    }
  }
  return [draft, setDraft];
}

/** Sends what was written when nothing more comes for a moment, or the field is left. */
function useLater<T>(act: (value: T) => void): ReturnType<typeof settled<[T]>> {
  const newest = useRef(act);
  useEffect(() => {
    newest.current = act;
  });
  const later = useMemo(() => settled<[T]>(value => newest.current(value), time.type), []);
  useEffect(() => () => later.flush(), [later]);
  return later;
}

function TextField(props: {
  label: string;
  hint?: string;
  value: string;
  placeholder: string;
  disabled: boolean;
  onChange: (value: string) => void;
}): JSX.Element {
  const [draft, setDraft] = useDraft(props.value);
  const later = useLater(props.onChange);
  return (
    <Field label={props.label} hint={props.hint}>
      <input
        value={draft}
        maxLength={200}
        placeholder={props.placeholder}
        disabled={props.disabled}
        onChange={event => {
          setDraft(event.target.value);
          later(event.target.value.trim());
        }}
        onBlur={() => later.flush()}
        onKeyDown={event => {
          if (event.key === 'Enter') {
            later.flush();
          }
        }}
      />
    </Field>
  );
}

function ParamField(props: {
  parameter: Parameter;
  value: Json | undefined;
  disabled: boolean;
  onChange: (value: Json | undefined) => void;
}): JSX.Element {
  const { words } = useHere();
  const { parameter, value, disabled, onChange } = props;
  const [draft, setDraft] = useDraft(written(parameter, value), text => says(parameter, text, value));
  const later = useLater(onChange);
  const parsed = parse(parameter, draft);
  const fallback = written(parameter, parameter.default as Json);
  const put = (text: string, now = false): void => {
    setDraft(text);
    const found = parse(parameter, text);
    if ('wrong' in found) {
      later.cancel();
    } else {
      later(found.value);
    }
    if (now) {
      later.flush();
    }
  };
  const leave = (): void => {
    later.flush();
    if ('value' in parsed) {
      setDraft(written(parameter, parsed.value));
    }
  };
  const label = parameter.unit ? `${parameter.name} (${parameter.unit})` : parameter.name;
  const error = 'wrong' in parsed ? wrongly(parsed, parameter, draft, words) : undefined;
  const range = ranged(parameter, words);
  const hint = [parameter.meaning, range].filter(Boolean).join(' ');
  const typed = {
    value: draft,
    placeholder: fallback,
    disabled,
    onBlur: leave,
    onChange: (event: ChangeEvent<HTMLInputElement | HTMLTextAreaElement>) => put(event.target.value),
    onKeyDown: (event: KeyboardEvent) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) {
        event.preventDefault();
        leave();
      }
    }
  };
  if (parameter.type === 'arguments') {
    return (
      <Field label={label} hint={hint} error={error}>
        <textarea {...typed} rows={lines(draft || fallback)} spellCheck={false} autoCapitalize="off" />
      </Field>
    );
  }
  if (searched(parameter)) {
    return (
      <Field label={label} hint={hint} error={error}>
        <Searched {...typed} choices={parameter.choices} />
      </Field>
    );
  }
  if (parameter.type === 'boolean' || parameter.type === 'choice') {
    const choices = parameter.type === 'boolean' ? ['true', 'false'] : parameter.choices;
    const called = (choice: string): string =>
      parameter.type === 'boolean' ? (choice === 'true' ? words.__('yes') : words.__('no')) : choice;
    return (
      <Field label={label} hint={hint} error={error}>
        <select value={draft} disabled={disabled} onChange={event => put(event.target.value, true)}>
          <option value="">
            {fallback ? words.__('%1 (default)', called(fallback)) : words.__('not set')}
          </option>
          {error && <option>{draft}</option>}
          {choices.map(choice => (
            <option key={choice} value={choice}>
              {called(choice)}
            </option>
          ))}
        </select>
      </Field>
    );
  }
  return (
    <Field label={label} hint={hint} error={error}>
      <input
        {...typed}
        inputMode={parameter.type === 'integer' ? 'numeric' : parameter.type === 'number' ? 'decimal' : 'text'}
      />
    </Field>
  );
}

function ranged(parameter: Parameter, words: Words): string {
  const { type, minimum, maximum, choices, length, shortest } = parameter;
  const told: string[] = [];
  if (minimum !== null && maximum !== null) {
    told.push(words.__('From %1 to %2.', minimum, maximum));
  } else if (minimum !== null) {
    told.push(words.__('At least %1.', minimum));
  } else if (maximum !== null) {
    told.push(words.__('At most %1.', maximum));
  }
  if (type === 'integers' && choices.length > 0) {
    told.push(words.__('Or: %1.', choices.join(', ')));
  }
  if (type === 'integers' && length === null && shortest === 0) {
    told.push(words.__('[] for none.'));
  }
  if (type === 'arguments') {
    told.push(words.__('As JSON.'));
  }
  if (searched(parameter)) {
    told.push(words.__('Write a few letters of it.'));
  }
  return told.join(' ');
}

function wrongly({ wrong, part }: Misfit, parameter: Parameter, text: string, words: Words): string {
  switch (wrong) {
    case 'whole':
      return words.__('This is no whole number; it is not sent.');
    case 'number':
      return words.__('This is no number; it is not sent.');
    case 'least':
      return words.__('This is less than %1; it is not sent.', parameter.minimum);
    case 'most':
      return words.__('This is more than %1; it is not sent.', parameter.maximum);
    case 'choice': {
      const like = searched(parameter) ? near(parameter, text) : [];
      if (like.length > 0) {
        return words.__('This is none of the choices, such as %1; it is not sent.', like.join(', '));
      }
      return words.__('This is none of the choices; it is not sent.');
    }
    case 'wholes':
      return words.__('Write whole numbers with commas between them; this is not sent.');
    case 'length':
      return parameter.length
        ? words.__('There must be %1 numbers; this is not sent.', parameter.length)
        : words.__('There must be %1 to %2 numbers; this is not sent.', parameter.shortest, LONGEST);
    case 'json':
      return words.__('This is no JSON, such as %1; it is not sent.', example(parameter));
    case 'list':
      return words.__('This is no list, such as %1; it is not sent.', example(parameter));
    case 'map':
      return words.__('These are no names with values, such as %1; this is not sent.', example(parameter));
    case 'name':
      return words.__(
        '“%1” is no name of small letters, digits and _, a letter first and 32 at most; this is not sent.',
        part
      );
    case 'word':
      return words.__(
        '“%1” is no word of letters, digits, spaces and _ , . > -, 64 at most; this is not sent.',
        part
      );
    case 'argument':
      return words.__(
        '%1 is no argument: write a number, a word, true, false, null, a list, %2 or %3; this is not sent.',
        part,
        '{"in": 0}, {"rows": 1, "plus": 1}, {"number": "-inf"}, {"type": "int64"}',
        '{"device": "input"}'
      );
    case 'large':
      return words.__('So large a number is written as %1; this is not sent.', '{"number": "1e30"}');
    case 'much':
      return words.__(
        'There may be %1 values at most, in lists %2 deep at most; this is not sent.',
        MOST,
        DEEPEST
      );
  }
}
