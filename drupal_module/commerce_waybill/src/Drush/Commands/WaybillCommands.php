<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Drush\Commands;

use Consolidation\OutputFormatters\StructuredData\RowsOfFields;
use Drupal\commerce_waybill\Outbox\Deliverer;
use Drupal\commerce_waybill\Outbox\Outbox;
use Drush\Attributes as CLI;
use Drush\Commands\AutowireTrait;
use Drush\Commands\DrushCommands;

/**
 * The outbox from the command line.
 */
final class WaybillCommands extends DrushCommands {

  use AutowireTrait;

  public function __construct(
    private readonly Outbox $outbox,
    private readonly Deliverer $deliverer,
  ) {
    parent::__construct();
  }

  /**
   * Delivers what waits in the outbox.
   */
  #[CLI\Command(name: 'waybill:deliver')]
  #[CLI\Option(name: 'seconds', description: 'How long it may take.')]
  #[CLI\Option(name: 'limit', description: 'How many rows at most.')]
  #[CLI\Usage(name: 'drush waybill:deliver --seconds=50', description: 'From a crontab, every minute.')]
  public function deliver(array $options = ['seconds' => 50, 'limit' => 1000]): int {
    $delivered = $this->deliverer->deliverDue((float) $options['seconds'], (int) $options['limit']);
    $left = $this->outbox->summary();
    $this->io()->writeln(sprintf('%d delivered, %d left, %d dead.', $delivered, $left['pending'], $left['dead']));
    return $left['dead'] || ($left['pending'] && !$delivered) ? self::EXIT_FAILURE : self::EXIT_SUCCESS;
  }

  /**
   * Lists rows of the outbox, newest first.
   */
  #[CLI\Command(name: 'waybill:outbox')]
  #[CLI\Option(name: 'status', description: 'Only pending, delivered, dead or skipped ones.')]
  #[CLI\Option(name: 'order', description: 'Only those of an order id.')]
  #[CLI\FieldLabels(labels: [
    'id' => 'Id',
    'event' => 'Event',
    'order_id' => 'Order',
    'status' => 'Status',
    'attempts' => 'Attempts',
    'error' => 'Error',
  ])]
  #[CLI\DefaultTableFields(fields: ['id', 'event', 'order_id', 'status', 'attempts', 'error'])]
  public function outbox(array $options = ['status' => '', 'order' => '', 'format' => 'table']): RowsOfFields {
    $conditions = array_filter(['status' => $options['status'], 'order_id' => $options['order']]);
    return new RowsOfFields(array_map(static fn (object $row): array => (array) $row, $this->outbox->rows($conditions)));
  }

  /**
   * Tries dead rows again.
   */
  #[CLI\Command(name: 'waybill:retry')]
  #[CLI\Argument(name: 'ids', description: 'Row ids, separated by commas; none means every dead row.')]
  public function retry(string $ids = ''): void {
    $count = $this->outbox->retry(array_map('intval', array_filter(explode(',', $ids))));
    $this->io()->writeln(sprintf('%d will be tried again.', $count));
  }

}
