/** A fairness report: the verdict in words, then each attribute, then how it was measured. */

import { useEffect, type JSX } from 'react';
import type { Attribute, Report } from '@nexus-workbench/contract';
import type { PageProps, StudioContext } from '../context.ts';
import {
  Badge,
  Button,
  ErrorNote,
  Loading,
  SameAs,
  Table,
  useLoad,
  Whiskers
} from '../parts/index.ts';
import { css } from '../tokens.ts';
import { Facts, who } from './grid.tsx';
import { ModelLink, ProductLink, useModelName } from './named.tsx';
import { between, FEWEST, kind, mark, ordered, percent, type Verdict } from './report.state.ts';

export default function ReportPage({ studio, id, setTitle }: PageProps): JSX.Element {
  const { trans, client } = studio;
  const loaded = useLoad(
    signal => client.get('/api/v1/ethics/reports/{id}', { path: { id }, signal }),
    [client, id]
  );
  const report = loaded.data;
  const name = useModelName(studio, report?.model ?? '');
  useEffect(() => {
    setTitle(name ? trans.__('Fairness of %1', name) : trans.__('Fairness report'));
  }, [name, setTitle, trans]);
  if (!report) {
    return (
      <div className="nx-Body">
        {loaded.error ? (
          <ErrorNote error={loaded.error} retry={loaded.reload} />
        ) : (
          <Loading what={trans.__('the report')} retry={loaded.reload} />
        )}
      </div>
    );
  }
  return (
    <div className="nx-Body">
      <header className="nx-Top">
        <h1 className={css.title}>
          {name ? trans.__('Fairness of %1', name) : trans.__('Fairness report')}
        </h1>
        <div className="nx-Verdict" data-kind={kind(report.verdict)}>
          <span className="nx-Verdict-mark" aria-hidden="true">
            {mark(report.verdict)}
          </span>
          <div>
            <strong>{words(studio, report.verdict, report.limit)}</strong>
            <ul className="nx-Said">
              {ordered(report.attributes).map(attribute => (
                <li key={attribute.name}>
                  <span aria-label={attribute.verdict} role="img">
                    {mark(attribute.verdict)}
                  </span>{' '}
                  {attribute.sentence}
                </li>
              ))}
            </ul>
          </div>
        </div>
        <div className={css.row}>
          <Button kind="primary" onClick={() => studio.open('model', report.model)}>
            {trans.__('Open the model')}
          </Button>
          <Button onClick={() => studio.open('product', report.product)}>
            {trans.__('Open the product')}
          </Button>
        </div>
      </header>
      {ordered(report.attributes).map(attribute => (
        <AttributePart
          key={attribute.name}
          studio={studio}
          attribute={attribute}
          limit={report.limit}
        />
      ))}
      <Method studio={studio} report={report} />
      <SameAs code={`wb.ethics.get_report(${JSON.stringify(report.id)})`} />
    </div>
  );
}

function words(studio: StudioContext, verdict: Verdict, limit: number): string {
  const { trans } = studio;
  const points = String(Number((100 * limit).toPrecision(3)));
  switch (verdict) {
    case 'pass':
      return trans.__('Passes: no gap is larger than the %1 points allowed.', points);
    case 'fail':
      return trans.__('Fails: a gap is larger than the %1 points allowed.', points);
    default:
      return trans.__('Too few rows to tell whether a gap is larger than %1 points.', points);
  }
}

function AttributePart(props: {
  studio: StudioContext;
  attribute: Attribute;
  limit: number;
}): JSX.Element {
  const { attribute, limit } = props;
  const { trans } = props.studio;
  const ends = between(attribute);
  return (
    <section className={css.section} aria-label={attribute.name}>
      <div className={css.row}>
        <h2>{attribute.name}</h2>
        <Badge
          state={attribute.verdict}
          text={`${mark(attribute.verdict)} ${attribute.verdict}`}
        />
      </div>
      <div className={css.grid}>
        <div>
          <h3>{trans.__('Share of favourable decisions')}</h3>
          <Whiskers
            label={trans.__('Share of favourable decisions by %1', attribute.name)}
            range={[0, 1]}
            rows={attribute.groups.map(group => ({
              name: group.name,
              value: group.selection_rate,
              low: group.low,
              high: group.high
            }))}
          />
        </div>
        {ends && (
          <div>
            <h3>{trans.__('The gap')}</h3>
            <Whiskers
              label={trans.__('Gap between the groups of %1', attribute.name)}
              mark={{ value: limit, text: trans.__('limit') }}
              rows={[
                {
                  name: trans.__('%1 − %2', ends.most.name, ends.least.name),
                  value: attribute.gap,
                  low: attribute.low,
                  high: attribute.high,
                  kind:
                    attribute.verdict === 'pass'
                      ? 'good'
                      : attribute.verdict === 'fail'
                        ? 'bad'
                        : 'plain'
                }
              ]}
            />
          </div>
        )}
      </div>
      <Table
        caption={trans.__('Groups of %1', attribute.name)}
        rowHeadings
        head={[
          trans.__('Group'),
          { text: trans.__('Rows'), number: true },
          { text: trans.__('Favourable'), number: true },
          { text: trans.__('95 % interval'), number: true },
          { text: trans.__('Accuracy'), number: true },
          {
            text: trans.__('True positive rate'),
            number: true,
            title: trans.__('Of those who deserved it, the share who got it')
          },
          {
            text: trans.__('False positive rate'),
            number: true,
            title: trans.__('Of those who did not, the share who got it')
          }
        ]}
        rows={attribute.groups.map(group => [
          group.rows < FEWEST ? trans.__('%1 (too few to compare)', group.name) : group.name,
          group.rows.toLocaleString(),
          percent(group.selection_rate),
          `${percent(group.low)} – ${percent(group.high)}`,
          percent(group.accuracy),
          percent(group.true_positive_rate),
          percent(group.false_positive_rate)
        ])}
      />
      {ends && (
        <Facts
          items={[
            [
              trans.__('Gap'),
              `${percent(attribute.gap)} (${percent(attribute.low)} – ${percent(attribute.high)})`
            ],
            [trans.__('Lowest over highest'), attribute.ratio.toFixed(2)],
            [trans.__('Equalised odds difference'), percent(attribute.equalized_odds)]
          ]}
        />
      )}
    </section>
  );
}

function Method({ studio, report }: { studio: StudioContext; report: Report }): JSX.Element {
  const { trans } = studio;
  return (
    <section className={css.section}>
      <h2>{trans.__('How it was measured')}</h2>
      <p>{report.method}</p>
      <Facts
        items={[
          [trans.__('Rows'), report.rows.toLocaleString()],
          [trans.__('Which'), report.on],
          [trans.__('Limit'), percent(report.limit)],
          [trans.__('Model'), <ModelLink key="model" studio={studio} to={report.model} />],
          [trans.__('Product'), <ProductLink key="product" studio={studio} to={report.product} />],
          [trans.__('Made'), new Date(report.made_at).toLocaleString()],
          [trans.__('By'), who(report.made_by)],
          [trans.__('Report'), <code key="id">{report.id}</code>]
        ]}
      />
    </section>
  );
}
