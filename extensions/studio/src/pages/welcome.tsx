/** The first page: where one is, and the next step from here. */

import { useEffect, useRef, type JSX, type ReactNode } from 'react';
import type { Job, Model, Product, Report } from '@nexus-workbench/contract';
import type { PageProps } from '../context.ts';
import { keepFile } from '../files.ts';
import { Ago, Badge, Button, ErrorNote, Loading, SameAs, useLoad } from '../parts/index.ts';
import { short } from '../parts/scale.ts';
import { isActive, percent } from '../state.ts';
import { jobTitle, roleName } from '../titles.ts';
import { css } from '../tokens.ts';

interface Latest {
  product: Product | undefined;
  model: Model | undefined;
  report: Report | undefined;
  jobs: Job[];
}

async function latest({ client }: PageProps['studio'], signal: AbortSignal): Promise<Latest> {
  const one = { query: { limit: 1 }, signal };
  const [products, models, reports, jobs] = await Promise.all([
    client.get('/api/v1/data/products', one),
    client.get('/api/v1/models/models', one),
    client.get('/api/v1/ethics/reports', one),
    client.get('/api/v1/pipelines/jobs', { query: { limit: 5 }, signal })
  ]);
  return {
    product: products.items[0],
    model: models.items[0],
    report: reports.items[0],
    jobs: jobs.items
  };
}

export default function WelcomePage({ studio, setTitle }: PageProps): JSX.Element {
  const { trans } = studio;
  const project = studio.project();
  const mayWrite = studio.role() !== 'viewer';
  const { data, error, reload } = useLoad(signal => latest(studio, signal), [studio]);
  const chooser = useRef<HTMLInputElement>(null);

  useEffect(() => setTitle(trans.__('Welcome')), [setTitle, trans]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const heard = (): void => {
      clearTimeout(timer);
      timer = setTimeout(reload, 300);
    };
    studio.changed.connect(heard);
    return () => {
      clearTimeout(timer);
      studio.changed.disconnect(heard);
    };
  }, [studio, reload]);

  return (
    <>
      <header className={css.head}>
        <h1 className={css.title}>{project?.title || project?.name || trans.__('Welcome')}</h1>
        {project && <Badge state="role" text={roleName(project.role, trans)} />}
      </header>
      <p className={css.lead}>
        {project?.description ||
          trans.__(
            'Bring a table, train a model on it beside honest baselines, see how it treats people, and keep the record of it all.'
          )}
      </p>
      <div className={css.grid}>
        <Card
          title={
            data?.product || data?.model
              ? trans.__('Go on from here')
              : trans.__('Nothing here yet')
          }
        >
          {error && !data ? (
            <ErrorNote error={error} retry={reload} />
          ) : !data ? (
            <Loading retry={reload} />
          ) : (
            <Newest data={data} studio={studio} />
          )}
        </Card>
        <Card title={trans.__('Bring your own table')}>
          <p>
            {trans.__(
              'CSV, Excel, Parquet, Arrow or JSON lines. You see it as a grid before anything is kept; then it is a data product with an owner and versions.'
            )}
          </p>
          <input
            ref={chooser}
            type="file"
            hidden
            aria-label={trans.__('A table from this computer')}
            onChange={event => {
              const file = event.target.files?.[0];
              if (file) {
                studio.open('new-product', '', { file: keepFile(file) });
              }
              event.target.value = '';
            }}
          />
          <div className={css.row}>
            <Button kind="primary" disabled={!mayWrite} onClick={() => chooser.current?.click()}>
              {trans.__('Choose a file')}
            </Button>
            <Button kind="link" disabled={!mayWrite} onClick={() => studio.open('new-product')}>
              {trans.__('From the project’s files or SQL')}
            </Button>
          </div>
          {!mayWrite && (
            <p className={css.quiet}>
              {trans.__('You are a viewer of this project; an editor can register data.')}
            </p>
          )}
        </Card>
        <Card title={trans.__('Work in code')}>
          <p>
            {trans.__(
              'Everything on these pages can be done in a notebook or in the shell; each page says how.'
            )}
          </p>
          <div className={css.row}>
            <Button onClick={() => void studio.run('notebook:create-new', { activate: true })}>
              {trans.__('New notebook')}
            </Button>
            <Button onClick={() => void studio.run('terminal:create-new')}>
              {trans.__('Terminal')}
            </Button>
          </div>
          <SameAs
            code={
              'import workbench\n\nwb = workbench.connect()\nfor product in wb.data.list_products().items:\n    print(product.name, product.rows)'
            }
          />
        </Card>
      </div>
      {data && data.jobs.length > 0 && (
        <section className={css.section}>
          <h2>{trans.__('Latest jobs')}</h2>
          <ul className="nx-Welcome-jobs">
            {data.jobs.map(job => (
              <li key={job.id} className={css.row}>
                <Badge state={job.state} />
                <Button kind="link" onClick={() => studio.open('job', job.id)}>
                  {jobTitle(job, trans)}
                </Button>
                <span className={css.quiet}>
                  {isActive(job) ? (
                    `${percent(job.progress)} %`
                  ) : (
                    <Ago at={job.finished_at ?? job.made_at} />
                  )}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function Card({ title, children }: { title: string; children: ReactNode }): JSX.Element {
  return (
    <section className={css.card}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Newest({ data, studio }: { data: Latest; studio: PageProps['studio'] }): JSX.Element {
  const { trans } = studio;
  const { product, model, report } = data;
  if (!product && !model) {
    return (
      <p>
        {trans.__('This project is empty. Bring a table to begin; it takes a minute.')}
      </p>
    );
  }
  return (
    <dl className={css.facts}>
      {product && (
        <>
          <dt>{trans.__('Data')}</dt>
          <dd>
            <Button kind="link" onClick={() => studio.open('product', product.id)}>
              {product.name}
            </Button>{' '}
            <span className={css.quiet}>{trans.__('%1 rows', short(product.rows))}</span>
          </dd>
        </>
      )}
      {model && (
        <>
          <dt>{trans.__('Model')}</dt>
          <dd>
            <Button kind="link" onClick={() => studio.open('model', model.id)}>
              {model.name}
            </Button>
            {model.verdict && <p className={css.quiet}>{model.verdict}</p>}
          </dd>
        </>
      )}
      {report && (
        <>
          <dt>{trans.__('Report')}</dt>
          <dd>
            <Button kind="link" onClick={() => studio.open('report', report.id)}>
              {report.name}
            </Button>{' '}
            <Badge state={report.verdict} />
          </dd>
        </>
      )}
      {product && !model && (
        <>
          <dt>{trans.__('Next')}</dt>
          <dd>
            <Button kind="primary" onClick={() => studio.open('train', product.id)}>
              {trans.__('Train a model on it')}
            </Button>
          </dd>
        </>
      )}
    </dl>
  );
}
