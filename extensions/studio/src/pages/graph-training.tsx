/** Train a graph from its editor: on what, how it goes for everybody, and what came of it. */

import { useState, type JSX } from 'react';
import { useStore, type Session } from '@nexus-workbench/model-editor';
import type { Job, Product } from '@nexus-workbench/contract';
import type { StudioContext } from '../context.ts';
import {
  Ago,
  Badge,
  Button,
  Curves,
  Empty,
  ErrorNote,
  Field,
  Loading,
  Table,
  short,
  useLoad,
  useWords
} from '../parts/index.ts';
import { isActive, person, type Told } from '../state.ts';
import { css } from '../tokens.ts';
import { modelName, moment } from './graph.state.ts';
import { guessTarget } from './train.state.ts';

/** Sensitive columns are left out, as where a model is trained without a graph. */
const sensitive = (product: Product, target: string): string[] =>
  product.columns.filter(each => each.sensitive && each.name !== target).map(each => each.name);

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

interface TrainingProps {
  studio: StudioContext;
  session: Session;
  id: string;
  runs: readonly Job[];
  shown: Job | null;
  told: Told;
  choose: (id: string) => void;
  reload: () => void;
}

export function GraphTraining(props: TrainingProps): JSX.Element {
  const { studio, session, id, runs, shown, told, choose, reload } = props;
  const { client, trans } = studio;
  const { data } = useStore(session.document.graph);
  const { unsafe } = useStore(session.room.state);
  const { problems } = useStore(session.room.meaning);
  const products = useLoad(
    signal => client.get('/api/v1/data/products', { query: { limit: 200 }, signal }),
    [client]
  );
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState('');
  const may = studio.role() !== 'viewer';
  const product = products.data?.items.find(one => one.name === data.product) ?? null;

  const act = async (what: string, work: () => Promise<void>): Promise<void> => {
    setBusy(what);
    setError(null);
    try {
      await work();
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy('');
    }
  };
  const aim = (one: Product | null, target: string): Promise<void> =>
    act('aim', async () => {
      if (!one) {
        return;
      }
      session.document.setData({ product: one.name, target });
      const ends = await client.post('/api/v1/models:measure_ends', {
        product: one.id,
        target,
        exclude: sensitive(one, target)
      });
      session.document.setData({ features: ends.features, outputs: ends.outputs });
    });
  const train = (): Promise<void> =>
    act('train', async () => {
      // As it is on the Studio's disk now, whoever changes it meanwhile.
      const now = await client.get('/api/v1/documents/documents/{id}', { path: { id } });
      const [problem] = now.meaning.problems;
      if (problem) {
        throw new Error([problem.text, problem.hint].filter(Boolean).join(' '));
      }
      const job = await client.post('/api/v1/models:train', {
        product: text(now.graph.data.product),
        target: text(now.graph.data.target),
        // The graph itself, too: a moment of the past may be made one with those around it.
        graph: now.graph,
        document: `${id}@${now.seq}`,
        exclude: product ? sensitive(product, text(now.graph.data.target)) : [],
        name: modelName(now.name)
      });
      choose(job.id);
      reload();
    });

  if (!products.data) {
    return products.error ? (
      <ErrorNote error={products.error} retry={products.reload} />
    ) : (
      <Loading retry={products.reload} />
    );
  }
  if (products.data.items.length === 0) {
    return <Empty text={trans.__('No data yet. Register a table, then train this graph on it.')} />;
  }
  const ready = product && typeof data.target === 'string' && problems.length === 0;
  const why = !product
    ? trans.__('Choose a data product first.')
    : problems.length > 0
      ? trans._n('The graph has %1 problem.', 'The graph has %1 problems.', problems.length)
      : unsafe > 0
        ? trans.__('Waiting until all changes are safe …')
        : '';
  return (
    <div className="nx-GraphTrain">
      <form
        className="nx-GraphTrain-form"
        onSubmit={event => {
          event.preventDefault();
          void train();
        }}
      >
        <Field label={trans.__('Data product')}>
          <select
            value={product?.id ?? ''}
            disabled={!may || busy !== ''}
            onChange={event => {
              const one = products.data!.items.find(each => each.id === event.target.value) ?? null;
              void aim(one, one ? guessTarget(one.columns, null, '') : '');
            }}
          >
            {!product && <option value="">{trans.__('choose …')}</option>}
            {products.data.items.map(one => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </select>
        </Field>
        <Field label={trans.__('It predicts')}>
          <select
            value={text(data.target)}
            disabled={!may || !product || busy !== ''}
            onChange={event => void aim(product, event.target.value)}
          >
            {(product?.columns ?? []).map(each => (
              <option key={each.name} value={each.name}>
                {trans.__('%1 (%2)', each.name, each.kind)}
              </option>
            ))}
          </select>
        </Field>
        <div className={css.row}>
          <Button kind="primary" type="submit" disabled={!may || !ready || unsafe > 0 || busy !== ''}>
            {busy === 'train' ? trans.__('Beginning …') : trans.__('Train')}
          </Button>
          {shown && isActive(shown) && may && (
            <Button
              kind="danger"
              disabled={busy !== ''}
              onClick={() =>
                void act('stop', async () => {
                  await client.post('/api/v1/pipelines:cancel', { id: shown.id });
                  reload();
                })
              }
            >
              {trans.__('Stop')}
            </Button>
          )}
        </div>
        {product && sensitive(product, text(data.target)).length > 0 && (
          <p className={css.quiet}>
            {trans.__('Left out as sensitive: %1', sensitive(product, text(data.target)).join(', '))}
          </p>
        )}
        <Settings session={session} may={may} />
        <p className={css.quiet} role="status">
          {busy === 'aim' ? trans.__('Looking at the table …') : why}
        </p>
        {error !== null && <ErrorNote error={error} />}
      </form>
      <div className="nx-GraphTrain-told">
        {shown ? (
          <Curves
            label={trans.__('Loss')}
            xLabel={told.axis}
            height={150}
            series={[...told.series]
              .filter(([name]) => /loss/i.test(name))
              .map(([name, points]) => ({
                name: name.replaceAll('_', ' '),
                points,
                dashed: /^val/i.test(name)
              }))}
          />
        ) : (
          <Empty
            text={trans.__('Not trained yet. Everybody who has the graph open sees the curves grow.')}
          />
        )}
      </div>
      {runs.length > 0 && <Runs {...props} />}
    </div>
  );
}

/** How it is trained: in the document, so everybody sees and may change it. */
function Settings({ session, may }: { session: Session; may: boolean }): JSX.Element {
  const trans = useWords();
  const { training } = useStore(session.document.graph);
  const fields: [name: string, label: string, least: number, most: number, whole: boolean, usual: number][] = [
    ['epochs', trans.__('Epochs at most'), 1, 10_000, true, 200],
    ['batch_size', trans.__('Batch size'), 1, 65_536, true, 128],
    ['learning_rate', trans.__('Learning rate'), 1e-7, 10, false, 0.002],
    ['weight_decay', trans.__('Weight decay'), 0, 10, false, 0.005],
    ['patience', trans.__('Patience (epochs)'), 1, 10_000, true, 12],
    ['momentum', trans.__('Momentum (SGD, RMSprop)'), 0, 0.999, false, 0.9],
    ['warmup', trans.__('Warm-up (epochs)'), 0, 1_000, true, 0],
    ['label_smoothing', trans.__('Label smoothing'), 0, 0.5, false, 0],
    ['gradient_norm', trans.__('Longest gradient (0: any)'), 0, 1_000, false, 0]
  ];
  const choices: [name: string, label: string, options: [value: string, label: string][]][] = [
    [
      'loss',
      trans.__('Loss'),
      [
        ['usual', trans.__('Usual')],
        ['balanced_cross_entropy', trans.__('Rare classes more')],
        ['focal', trans.__('Focal (classes)')],
        ['absolute', trans.__('Absolute (numbers)')],
        ['huber', trans.__('Huber (numbers)')]
      ]
    ],
    [
      'optimiser',
      trans.__('Optimiser'),
      [
        ['adamw', 'AdamW'],
        ['adam', 'Adam'],
        ['nadam', 'NAdam'],
        ['radam', 'RAdam'],
        ['rmsprop', 'RMSprop'],
        ['sgd', 'SGD']
      ]
    ],
    [
      'schedule',
      trans.__('Schedule'),
      [
        ['plateau', trans.__('Plateau')],
        ['constant', trans.__('Constant')],
        ['cosine', trans.__('Cosine')],
        ['linear', trans.__('Linear')]
      ]
    ]
  ];
  return (
    <details>
      <summary>{trans.__('How it is trained')}</summary>
      <div className="nx-GraphTrain-settings">
        {choices.map(([name, label, options]) => (
          <Field key={name} label={label}>
            <select
              disabled={!may}
              value={text(training[name]) || options[0]![0]}
              onChange={event => {
                const usual = event.target.value === options[0]![0];
                session.document.setTraining(name, usual ? undefined : event.target.value);
              }}
            >
              {options.map(([value, said]) => (
                <option key={value} value={value}>
                  {said}
                </option>
              ))}
            </select>
          </Field>
        ))}
        {fields.map(([name, label, least, most, whole, usual]) => {
          const value = training[name];
          return (
            <Field key={name} label={label}>
              <input
                key={typeof value === 'number' ? value : ''}
                type="number"
                min={least}
                max={most}
                step={whole ? 1 : 'any'}
                disabled={!may}
                placeholder={String(usual)}
                defaultValue={typeof value === 'number' ? value : ''}
                onBlur={event => {
                  const given = event.target.value.trim();
                  const number = Number(given);
                  const fits =
                    given !== '' &&
                    number >= least &&
                    number <= most &&
                    (!whole || Number.isInteger(number));
                  if (given === '') {
                    session.document.setTraining(name, undefined);
                  } else if (fits) {
                    session.document.setTraining(name, number);
                  } else {
                    event.target.value = typeof value === 'number' ? String(value) : '';
                    session.say(
                      trans.__('%1 is from %2 to %3.', label, least, most.toLocaleString())
                    );
                  }
                }}
              />
            </Field>
          );
        })}
      </div>
    </details>
  );
}

function Runs({ studio, runs, shown, told, choose }: TrainingProps): JSX.Element {
  const { trans } = studio;
  const done = runs.map(job => text(job.result?.model)).filter(Boolean);
  const models = useLoad(
    async signal =>
      new Map(
        await Promise.all(
          done.slice(0, 20).map(async ref => {
            const found = await studio.client.get('/api/v1/models/models/{id}', {
              path: { id: ref },
              signal
            });
            return [ref, found] as const;
          })
        )
      ),
    [studio.client, done.join()]
  );
  const best = (): string => {
    const losses = told.series.get('validation_loss')?.map(point => point[1]) ?? [];
    return losses.length > 0 ? short(Math.min(...losses)) : '';
  };
  return (
    <div className="nx-GraphTrain-runs">
      <Table
        caption={trans.__('Trainings of this graph')}
        head={[
          trans.__('Shown'),
          trans.__('Began'),
          trans.__('By'),
          trans.__('Graph at'),
          trans.__('State'),
          trans.__('Came to'),
          ''
        ]}
        rows={runs.slice(0, 20).map(job => {
          const model = models.data?.get(text(job.result?.model));
          const [figure] = Object.entries(model?.metrics ?? {});
          return [
            <input
              key="shown"
              type="radio"
              name="nx-shown-run"
              aria-label={trans.__('Show the training of %1', new Date(job.made_at).toLocaleString())}
              checked={job.id === shown?.id}
              onChange={() => choose(job.id)}
            />,
            <Ago key="at" at={job.made_at} />,
            person(job.actor),
            trans.__('edit %1', Math.max(0, moment(job.request.document).seq)),
            <Badge key="state" state={job.state} />,
            figure
              ? `${figure[0].replaceAll('_', ' ')} ${short(figure[1].value)}`
              : job.id === shown?.id
                ? best()
                : '',
            <span key="open" className={css.row}>
              {model && (
                <Button kind="link" onClick={() => studio.open('model', model.id)}>
                  {trans.__('Model')}
                </Button>
              )}
              <Button kind="link" onClick={() => studio.open('job', job.id)}>
                {trans.__('Job')}
              </Button>
            </span>
          ];
        })}
      />
      {done.length > 1 && (
        <Button onClick={() => studio.open('compare', done.slice(0, 6).join(','))}>
          {trans.__('Compare the models')}
        </Button>
      )}
    </div>
  );
}
