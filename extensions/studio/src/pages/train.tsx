/** Train a model on a product: what is predicted, from which columns, by what. */

import { useEffect, useState, type JSX } from 'react';
import type { Graph, Product } from '@nexus-workbench/contract';
import type { PageProps, StudioContext } from '../context.ts';
import { Button, Empty, ErrorNote, Field, Loading, SameAs, useLoad } from '../parts/index.ts';
import { css } from '../tokens.ts';
import { Checks } from './checks.tsx';
import { HiddenLayers, Network } from './network.tsx';
import { python } from '../same.ts';
import {
  ESTIMATORS,
  MOST_TRIALS,
  MOST_WORKERS,
  guessTarget,
  guessTask,
  hiddenOf,
  reasons,
  request,
  searchable,
  suggestedOut,
  trialsOf,
  type Asked,
  type Estimator,
  type Form,
  type Reason,
  type Task
} from './train.state.ts';

export default function Train({ studio, id, options, setTitle }: PageProps): JSX.Element {
  const { trans, client } = studio;
  const loaded = useLoad(
    signal => client.get('/api/v1/data/products/{id}', { path: { id }, signal }),
    [client, id]
  );
  const product = loaded.data;
  useEffect(() => {
    setTitle(product ? trans.__('Train on %1', product.name) : trans.__('Train'));
  }, [product, setTitle, trans]);
  if (studio.role() === 'viewer') {
    return (
      <div className="nx-Body">
        <Empty text={trans.__('You may look at this project, not train in it: ask its owner.')} />
      </div>
    );
  }
  return (
    <div className="nx-Body">
      {product ? (
        <Ask studio={studio} product={product} wanted={options.target ?? ''} />
      ) : loaded.error ? (
        <ErrorNote error={loaded.error} retry={loaded.reload} />
      ) : (
        <Loading what={trans.__('the product')} retry={loaded.reload} />
      )}
    </div>
  );
}

function Ask(props: { studio: StudioContext; product: Product; wanted: string }): JSX.Element {
  const { studio, product } = props;
  const { trans, client } = studio;
  const ref = `${product.id}@${product.version}`;
  const [form, setForm] = useState<Form>(() => ({
    product: ref,
    target: guessTarget(product.columns, null, props.wanted),
    estimator: 'network',
    task: 'auto',
    exclude: [],
    name: '',
    seed: '0',
    epochs: '',
    trials: '1',
    workers: ''
  }));
  const [chosen, setChosen] = useState<string[] | null>(null);
  const [edited, setEdited] = useState<Graph | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const { target, estimator } = form;
  const put = (part: Partial<Form>): void => setForm(old => ({ ...old, ...part }));

  const profile = useLoad(
    signal => client.post('/api/v1/data:profile', { product: ref, target }, { signal }),
    [client, ref, target]
  );
  const suggestion = useLoad(
    async signal =>
      estimator === 'network'
        ? client.post('/api/v1/models:suggest_graph', { product: ref, target }, { signal })
        : null,
    [client, ref, target, estimator]
  );
  const layers = useLoad(
    signal => client.get('/api/v1/models/layers', { signal }),
    [client]
  );

  const told = profile.data ?? null;
  const column = product.columns.find(each => each.name === target);
  const guessed = guessTask(column, told?.columns.find(each => each.name === target)?.distinct);
  const task = form.task === 'auto' ? guessed : form.task;
  const why = reasons(product.columns, told, target);
  const exclude = (chosen ?? suggestedOut(why)).filter(name => name !== target);
  const graph = edited ?? suggestion.data ?? null;
  const made = request({ ...form, exclude }, guessed, edited);
  const wrong = 'wrong' in made ? made.wrong : '';
  const search = trialsOf(form) > 1;
  // Which columns are keys, and often the task too, is not known before the profile is there.
  const waiting = profile.loading && (chosen === null || form.task === 'auto');

  const words: Record<Estimator, string> = {
    network: trans.__('Network: layers of your choice, in torch'),
    logistic:
      task === 'regression' ? trans.__('Linear regression') : trans.__('Logistic regression'),
    lightgbm: trans.__('LightGBM: boosted trees'),
    forest: trans.__('Random forest'),
    majority:
      task === 'regression'
        ? trans.__('Mean: always the same number')
        : trans.__('Majority: always the most frequent class')
  };
  const because: Record<Reason, string> = {
    sensitive: trans.__('sensitive'),
    'looks-sensitive': trans.__('looks sensitive'),
    key: trans.__('a key: different in every row'),
    leakage: trans.__('may tell the target')
  };
  const train = async (): Promise<void> => {
    if ('wrong' in made) {
      return;
    }
    setBusy(true);
    setError(null);
    try {
      const job =
        made.action === 'models:tune'
          ? await client.post('/api/v1/models:tune', made.body)
          : await client.post('/api/v1/models:train', made.body);
      studio.open('job', job.id);
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };

  return (
    <form
      onSubmit={event => {
        event.preventDefault();
        void train();
      }}
    >
      <header className="nx-Top">
        <h1 className={css.title}>{trans.__('Train a model on %1', product.name)}</h1>
        <p className={css.lead}>
          {trans.__(
            'Version %1, %2 rows. Beside it stand simple models, trained on the same rows: you see whether it was worth it.',
            product.version,
            product.rows.toLocaleString()
          )}
        </p>
      </header>
      <section className={css.section}>
        <h2>{trans.__('What is predicted')}</h2>
        <div className={css.grid}>
          <Field
            label={trans.__('Target')}
            error={wrong === 'target' ? trans.__('Choose the column to predict.') : null}
          >
            <select
              value={target}
              onChange={event => {
                put({ target: event.target.value, task: 'auto' });
                setEdited(null);
              }}
            >
              {product.columns.map(each => (
                <option key={each.name} value={each.name}>
                  {trans.__('%1 (%2)', each.name, each.kind)}
                </option>
              ))}
            </select>
          </Field>
          <Field
            label={trans.__('Task')}
            hint={
              form.task === 'auto' && task !== null
                ? trans.__('Guessed from the values of %1.', target)
                : null
            }
            error={wrong === 'task' && !profile.loading ? trans.__('Choose one.') : null}
          >
            <select
              value={task ?? ''}
              onChange={event => put({ task: event.target.value as Task })}
            >
              {task === null && <option value="">{trans.__('looking at the values …')}</option>}
              <option value="classification">{trans.__('Classification: one of few')}</option>
              <option value="regression">{trans.__('Regression: a number')}</option>
            </select>
          </Field>
          <Field label={trans.__('Estimator')}>
            <select
              value={estimator}
              onChange={event => put({ estimator: event.target.value as Estimator })}
            >
              {ESTIMATORS.map(each => (
                <option key={each} value={each}>
                  {words[each]}
                </option>
              ))}
            </select>
          </Field>
          <Field label={trans.__('Name')} hint={trans.__('Training again under a name makes its next version.')}>
            <input
              value={form.name}
              placeholder={`${product.name}-${target}`}
              onChange={event => put({ name: event.target.value })}
            />
          </Field>
          <Field
            label={trans.__('Seed')}
            hint={trans.__('The same seed gives the same split and the same model.')}
            error={wrong === 'seed' ? trans.__('A whole number, 0 or more.') : null}
          >
            <input
              type="number"
              min={0}
              step={1}
              value={form.seed}
              onChange={event => put({ seed: event.target.value })}
            />
          </Field>
          {searchable(estimator) && (
            <Field
              label={trans.__('Settings to try')}
              hint={trans.__(
                'More than one is a search: the best on the rows that stop the training is trained.'
              )}
              error={
                wrong === 'trials'
                  ? trans.__('A whole number from 1 to %1.', MOST_TRIALS.toLocaleString())
                  : null
              }
            >
              <input
                type="number"
                min={1}
                max={MOST_TRIALS}
                step={1}
                value={form.trials}
                onChange={event => put({ trials: event.target.value })}
              />
            </Field>
          )}
          {(estimator === 'network' || search) && (
            <Field
              label={trans.__('Workers')}
              hint={
                search
                  ? trans.__('How many settings are tried at a time; two if empty.')
                  : trans.__('How many processes train it together, each on its share of the rows.')
              }
              error={
                wrong === 'workers' ? trans.__('A whole number from 1 to %1.', MOST_WORKERS) : null
              }
            >
              <input
                type="number"
                min={1}
                max={MOST_WORKERS}
                step={1}
                placeholder={search ? '2' : '1'}
                value={form.workers}
                onChange={event => put({ workers: event.target.value })}
              />
            </Field>
          )}
          {estimator === 'network' && (
            <Field
              label={trans.__('Epochs at most')}
              hint={trans.__('It stops earlier when the validation rows get no better.')}
              error={wrong === 'epochs' ? trans.__('A whole number from 1 to 10,000.') : null}
            >
              <input
                type="number"
                min={1}
                max={10000}
                placeholder={typeof graph?.training.epochs === 'number' ? String(graph.training.epochs) : ''}
                value={form.epochs}
                onChange={event => put({ epochs: event.target.value })}
              />
            </Field>
          )}
        </div>
        <p>
          {trans.__(
            'Of %1 rows about %2 are trained on, %3 decide when to stop, and %4 stay untouched until the end: the figures are measured on those. Which row goes where follows from its position and the seed.',
            product.rows.toLocaleString(),
            Math.round(product.rows * 0.6).toLocaleString(),
            Math.round(product.rows * 0.2).toLocaleString(),
            Math.round(product.rows * 0.2).toLocaleString()
          )}
        </p>
      </section>
      <section className={css.section}>
        <Checks
          legend={trans.__('Columns to leave out')}
          chosen={exclude}
          choices={product.columns
            .filter(each => each.name !== target)
            .map(each => ({
              name: each.name,
              note: why[each.name] && (
                <>
                  {because[why[each.name]!.reason]}
                  {why[each.name]!.note && `: ${why[each.name]!.note}`}
                </>
              )
            }))}
          onChange={(name, on) =>
            setChosen(on ? [...exclude, name] : exclude.filter(each => each !== name))
          }
        >
          <p className={css.quiet}>
            {trans.__(
              'Sensitive columns are left out so that the model does not decide by them; fairness is measured by them all the same. Leaving them out is no proof: other columns may stand for them.'
            )}
          </p>
          {profile.error && <ErrorNote error={profile.error} retry={profile.reload} />}
        </Checks>
      </section>
      {estimator === 'network' && (
        <section className={css.section}>
          <h2>{trans.__('The network')}</h2>
          {search && (
            <p>
              {trans.__(
                'The search chooses layers, width, dropout, learning rate, weight decay and batch size. The first it tries is the suggested network.'
              )}
            </p>
          )}
          {!search && suggestion.error && <ErrorNote error={suggestion.error} retry={suggestion.reload} />}
          {!search && suggestion.loading && <Loading what={trans.__('a graph that fits the table')} />}
          {!search && graph && (
            <GraphPart
              studio={studio}
              graph={graph}
              inputs={product.columns.length - 1 - exclude.length}
              target={target}
              activations={
                layers.data?.items
                  .filter(each => each.group === 'activation')
                  .map(each => each.name) ?? []
              }
              changed={edited !== null}
              onChange={setEdited}
            />
          )}
        </section>
      )}
      {error !== null && <ErrorNote error={error} />}
      <div className={css.row}>
        <Button kind="primary" type="submit" disabled={busy || waiting || wrong !== ''}>
          {busy
            ? trans.__('Starting …')
            : search
              ? trans.__('Search, then train the best')
              : trans.__('Train')}
        </Button>
        {waiting && <span role="status">{trans.__('Looking at what the columns hold …')}</span>}
      </div>
      {'body' in made && <SameAs code={code(made)} />}
    </form>
  );
}

function GraphPart(props: {
  studio: StudioContext;
  graph: Graph;
  inputs: number;
  target: string;
  activations: string[];
  changed: boolean;
  onChange: (graph: Graph | null) => void;
}): JSX.Element {
  const { trans } = props.studio;
  const hidden = hiddenOf(props.graph);
  return (
    <>
      <p className={css.quiet}>
        {props.changed
          ? trans.__('Changed by you.')
          : trans.__('Suggested: its size follows the table’s. You may change it or not.')}{' '}
        {props.changed && (
          <Button kind="link" onClick={() => props.onChange(null)}>
            {trans.__('Back to the suggestion')}
          </Button>
        )}
      </p>
      <Network graph={props.graph} ends={[trans.__('%1 columns', props.inputs), props.target]} />
      {hidden ? (
        <HiddenLayers
          graph={props.graph}
          hidden={hidden}
          activations={props.activations}
          onChange={props.onChange}
        />
      ) : (
        <p>{trans.__('This graph is more than a row of layers; it is trained as it is drawn.')}</p>
      )}
    </>
  );
}

/** The request in Python; a changed graph stands before it. */
function code({ action, body }: Asked): string {
  const told = Object.entries(body).map(([name, value]) =>
    name === 'graph' ? 'graph=graph' : `${name}=${python(value)}`
  );
  const graph = 'graph' in body ? `graph = ${python(body.graph)}\n` : '';
  return `${graph}wb.${action.replace(':', '.')}(${told.join(', ')})`;
}
