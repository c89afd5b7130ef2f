<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_checkout\Kernel;

use Drupal\commerce_waybill_checkout\Form\SettingsForm;
use Drupal\Core\Form\FormState;

/**
 * The declared rules are set by a person, and make sense.
 *
 * @group commerce_waybill
 */
class SettingsFormTest extends CheckoutKernelTestBase {

  private const VALUES = [
    'stock_field' => 'field_stock',
    'oversell' => 'limit',
    'oversell_limit' => 3,
    'stale_after' => 120,
    'when_stale' => 'deny',
    'reserve_minutes' => 45,
    'hold_new_orders' => FALSE,
    'hold_minutes' => 90,
    'when_undecided' => 'keep',
    'quote_endpoint' => 'https://waybill.example/quotes',
    'quote_timeout' => 0.8,
    'quote_fresh' => 600,
    'quote_usable' => 7200,
    'tax' => TRUE,
    'tax_fallback_percentage' => '8.25',
  ];

  /**
   * Everything that can be declared is stored as it was entered.
   */
  public function testTheFormStoresEverything(): void {
    self::assertSame([], $this->submit([]));
    $stored = $this->config('commerce_waybill_checkout.settings')->getRawData();
    unset($stored['_core']);
    self::assertSame(self::VALUES, $stored);
  }

  /**
   * What cannot be is refused, and nothing is stored.
   *
   * @dataProvider mistakes
   */
  public function testMistakesAreRefused(array $change, array $errors): void {
    $before = $this->config('commerce_waybill_checkout.settings')->getRawData();
    self::assertSame($errors, $this->submit($change));
    self::assertSame($before, $this->config('commerce_waybill_checkout.settings')->getRawData());
  }

  /**
   * Changes of good values, and what is said.
   */
  public static function mistakes(): array {
    $percentage = ['tax_fallback_percentage' => 'The percentage is a number from 0 to 100, such as 8.25.'];
    return [
      'hold without the orders module' => [
        ['hold_new_orders' => TRUE],
        ['hold_new_orders' => 'Orders can be held only with the module "Commerce Waybill: orders".'],
      ],
      'old before it is old' => [
        ['quote_usable' => 599],
        ['quote_usable' => 'An old amount has to be usable for as long as it is fresh, or longer.'],
      ],
      'more than everything' => [['tax_fallback_percentage' => '101'], $percentage],
      'a comma' => [['tax_fallback_percentage' => '8,25'], $percentage],
      'tax from nowhere' => [
        ['quote_endpoint' => '', 'tax_fallback_percentage' => ''],
        ['tax' => 'Tax from outside needs an address, or a percentage, or both.'],
      ],
      'no address' => [
        ['quote_endpoint' => 'waybill'],
        ['quote_endpoint' => 'The URL <em class="placeholder">waybill</em> is not valid.'],
      ],
      'no time limit' => [
        ['quote_timeout' => 0],
        ['quote_timeout' => '<em class="placeholder">Seconds that the checkout waits for an amount</em> must be higher than or equal to <em class="placeholder">0.1</em>.'],
      ],
    ];
  }

  /**
   * Questions have to be signed.
   */
  public function testTheAddressNeedsTheSecret(): void {
    $this->config('commerce_waybill.settings')->set('secret', 'settings:absent')->save();
    $message = 'Questions cannot be signed: set the secret that signs events first, under "Connection".';
    self::assertSame(['quote_endpoint' => $message], $this->submit([]));
    self::assertSame([], $this->submit(['quote_endpoint' => '']));
  }

  /**
   * Only number fields of the site can hold the stock.
   */
  public function testNumberFieldsAreOffered(): void {
    $form = $this->container->get('form_builder')->getForm(SettingsForm::class);
    self::assertSame(['', 'field_stock'], array_keys($form['stock']['stock_field']['#options']));
  }

  /**
   * The page is for those who administer Waybill, one tab beside the base's.
   */
  public function testThePageIsForAdministrators(): void {
    $access = $this->container->get('access_manager');
    self::assertSame([TRUE, FALSE], [
      $access->checkNamedRoute('commerce_waybill_checkout.settings', [], $this->createUser(['administer commerce_waybill'])),
      $access->checkNamedRoute('commerce_waybill_checkout.settings', [], $this->createUser(['use commerce_waybill'])),
    ]);
    self::assertSame(['Connection', 'Checkout'], $this->tabs());
    $this->enableModules(['commerce_waybill_orders']);
    self::assertSame(['Connection', 'Orders', 'Checkout'], $this->tabs());
  }

  /**
   * Rules without effect are reported.
   */
  public function testRulesWithoutEffectAreReported(): void {
    $this->container->get('module_handler')->loadInclude('commerce_waybill_checkout', 'install');
    self::assertSame([], commerce_waybill_checkout_requirements('runtime'));
    $this->declare(['hold_new_orders' => TRUE, 'stock_field' => 'field_absent']);
    $report = commerce_waybill_checkout_requirements('runtime')['commerce_waybill_checkout'];
    self::assertSame([
      'New orders are not held: the module "Commerce Waybill: orders" is not installed.',
      'Stock is not looked at: variations have no field "field_absent".',
    ], array_map('strval', $report['description']['#items']));
  }

  /**
   * Submits good values with some changes.
   */
  private function submit(array $changes): array {
    $form_state = (new FormState())->setValues($changes + self::VALUES);
    $this->container->get('form_builder')->submitForm(SettingsForm::class, $form_state);
    return array_map('strval', $form_state->getErrors());
  }

  /**
   * Lists the tabs of the settings.
   */
  private function tabs(): array {
    $manager = $this->container->get('plugin.manager.menu.local_task');
    $manager->clearCachedDefinitions();
    $tabs = $manager->getLocalTasksForRoute('commerce_waybill.settings')[0];
    uasort($tabs, static fn ($one, $other): int => $one->getWeight() <=> $other->getWeight());
    return array_values(array_map(static fn ($tab): string => (string) $tab->getTitle(), $tabs));
  }

}
