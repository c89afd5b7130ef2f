<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_orders\Kernel;

/**
 * The order's activity says what the middleware did.
 *
 * @group commerce_waybill
 */
class AuditTest extends OrdersKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected static $modules = ['commerce_log'];

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $this->installEntitySchema('commerce_log');
  }

  /**
   * Each kind of change leaves an entry; what changed nothing leaves none.
   */
  public function testWhatWasDoneIsLogged(): void {
    $order = $this->place();
    $this->post($order, 'payments', $this->news('captured', '10:00:00'));
    $this->post($order, 'payments', $this->news('captured', '10:00:00'));
    $dispute = ['dispute' => ['id' => 'dp_1', 'reason' => 'fraudulent']];
    $this->post($order, 'payments', $this->news('disputed', '11:00:00', $dispute));
    $this->post($order, 'hold', ['hold' => TRUE, 'reason' => 'fraud_review']);
    $this->post($order, 'hold', ['hold' => FALSE]);
    $this->post($order, 'references', ['erp_number' => 'SO-17', 'links' => ['tryton:17']]);
    $said = [];
    foreach ($this->container->get('entity_type.manager')->getStorage('commerce_log')->loadMultipleByEntity($order) as $log) {
      if (str_starts_with($log->getTemplateId(), 'waybill_')) {
        $build = $this->container->get('entity_type.manager')->getViewBuilder('commerce_log')->view($log);
        $said[] = trim(strip_tags((string) $this->container->get('renderer')->renderRoot($build)));
      }
    }
    self::assertSame([
      'Waybill reported payment pi_1 via card as captured: $21.00.',
      'Waybill reported payment pi_1 via card as disputed, dispute dp_1: fraudulent.',
      'Waybill holds the fulfilment: fraud_review.',
      'Waybill released the fulfilment.',
      'Waybill set the references: ERP number SO-17, ERP status , links tryton:17.',
    ], $said);
  }

}
