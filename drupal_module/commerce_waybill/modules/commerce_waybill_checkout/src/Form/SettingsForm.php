<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout\Form;

use Drupal\commerce_waybill\Signing\SecretResolver;
use Drupal\commerce_waybill_checkout\PendingHold;
use Drupal\Core\Entity\EntityFieldManagerInterface;
use Drupal\Core\Form\ConfigFormBase;
use Drupal\Core\Form\FormStateInterface;
use Drupal\Core\Render\Element;
use Symfony\Component\DependencyInjection\ContainerInterface;

/**
 * The declared rules of the checkout: stock, hold, amounts from outside.
 */
class SettingsForm extends ConfigFormBase {

  /**
   * How each setting is stored; the names of the form's elements are the same.
   */
  private const TYPES = [
    'stock_field' => 'string',
    'oversell' => 'string',
    'oversell_limit' => 'int',
    'stale_after' => 'int',
    'when_stale' => 'string',
    'reserve_minutes' => 'int',
    'hold_new_orders' => 'bool',
    'hold_minutes' => 'int',
    'when_undecided' => 'string',
    'quote_endpoint' => 'string',
    'quote_timeout' => 'float',
    'quote_fresh' => 'int',
    'quote_usable' => 'int',
    'tax' => 'bool',
    'tax_fallback_percentage' => 'string',
  ];

  /**
   * Knows the fields of variations.
   */
  protected EntityFieldManagerInterface $fields;

  /**
   * Knows whether orders can be held.
   */
  protected PendingHold $hold;

  /**
   * Finds the secret that signs questions.
   */
  protected SecretResolver $secrets;

  /**
   * {@inheritdoc}
   */
  public static function create(ContainerInterface $container): static {
    $form = parent::create($container);
    $form->fields = $container->get('entity_field.manager');
    $form->hold = $container->get(PendingHold::class);
    $form->secrets = $container->get(SecretResolver::class);
    return $form;
  }

  /**
   * {@inheritdoc}
   */
  public function getFormId(): string {
    return 'commerce_waybill_checkout_settings';
  }

  /**
   * {@inheritdoc}
   */
  protected function getEditableConfigNames(): array {
    return ['commerce_waybill_checkout.settings'];
  }

  /**
   * {@inheritdoc}
   */
  public function buildForm(array $form, FormStateInterface $form_state): array {
    $settings = $this->config('commerce_waybill_checkout.settings');
    $form['stock'] = ['#type' => 'details', '#open' => TRUE, '#title' => $this->t('Stock')] + $this->stock();
    $form['hold'] = ['#type' => 'details', '#open' => TRUE, '#title' => $this->t('Hold until a decision')] + $this->hold();
    $form['quotes'] = ['#type' => 'details', '#open' => TRUE, '#title' => $this->t('Tax and shipping from outside')] + $this->quotes();
    foreach (['stock', 'hold', 'quotes'] as $part) {
      foreach (Element::children($form[$part]) as $name) {
        $form[$part][$name]['#default_value'] = $settings->get($name);
      }
    }
    return parent::buildForm($form, $form_state);
  }

  /**
   * {@inheritdoc}
   */
  public function validateForm(array &$form, FormStateInterface $form_state): void {
    parent::validateForm($form, $form_state);
    if ($form_state->getValue('hold_new_orders') && !$this->hold->isPossible()) {
      $form_state->setErrorByName('hold_new_orders', $this->t('Orders can be held only with the module "Commerce Waybill: orders".'));
    }
    if ((int) $form_state->getValue('quote_usable') < (int) $form_state->getValue('quote_fresh')) {
      $form_state->setErrorByName('quote_usable', $this->t('An old amount has to be usable for as long as it is fresh, or longer.'));
    }
    $percentage = trim((string) $form_state->getValue('tax_fallback_percentage'));
    if (!preg_match('/^(\d{1,2}(\.\d{1,4})?|100)?$/D', $percentage)) {
      $form_state->setErrorByName('tax_fallback_percentage', $this->t('The percentage is a number from 0 to 100, such as 8.25.'));
    }
    $this->validateEndpoint($form_state);
  }

  /**
   * {@inheritdoc}
   */
  public function submitForm(array &$form, FormStateInterface $form_state): void {
    $settings = $this->config('commerce_waybill_checkout.settings');
    foreach (self::TYPES as $name => $type) {
      $value = trim((string) $form_state->getValue($name));
      settype($value, $type);
      $settings->set($name, $value);
    }
    $settings->save();
    parent::submitForm($form, $form_state);
  }

  /**
   * Builds what is asked about the stock.
   */
  private function stock(): array {
    return [
      'stock_field' => $this->choice($this->t('Stock field'), $this->numberFields(), $this->t('The number field of product variations that the middleware writes the stock to. Without one, stock is not looked at.')),
      'oversell' => $this->choice($this->t('When the stock is used up'), [
        'deny' => $this->t('Nothing more is sold'),
        'limit' => $this->t('So many more are sold'),
        'allow' => $this->t('Everything is sold, whatever the stock'),
      ]),
      'oversell_limit' => $this->number($this->t('How many more'), 0, 1000000, $this->t('Of each variation, beyond its stock.')) + $this->visibleWhen('oversell', 'limit'),
      'stale_after' => $this->number($this->t('Minutes after which stock is too old'), 0, 525600, $this->t('0: never. The age is that of the field "Stock as of", which changes with the number and which the middleware can renew.')),
      'when_stale' => $this->choice($this->t('When the stock is too old'), [
        'trust' => $this->t('Use it all the same'),
        'deny' => $this->t('Sell nothing'),
        'allow' => $this->t('Sell without limit'),
      ]),
      'reserve_minutes' => $this->number($this->t('Minutes that goods are reserved'), 1, 1440, $this->t('From the step before the payment until the order is placed. Longer than the payment may take: goods whose reservation ran out can be sold to somebody else.')),
    ];
  }

  /**
   * Builds what is asked about the hold of new orders.
   */
  private function hold(): array {
    return [
      'hold_new_orders' => [
        '#type' => 'checkbox',
        '#title' => $this->t('Hold new orders until the middleware decides'),
        '#description' => $this->t('A held order cannot be validated, fulfilled or shipped. Needs the module "Commerce Waybill: orders", and an order workflow with validation or fulfilment.'),
      ],
      'hold_minutes' => $this->number($this->t('Minutes that a decision may take'), 1, 525600),
      'when_undecided' => $this->choice($this->t('Without a decision by then'), [
        'release' => $this->t('Release the order'),
        'keep' => $this->t('Keep holding it'),
      ], $this->t('Orders are released by cron. An order that the middleware holds for a reason of its own is never released.')),
    ];
  }

  /**
   * Builds what is asked about amounts from outside.
   */
  private function quotes(): array {
    return [
      'quote_endpoint' => [
        '#type' => 'url',
        '#title' => $this->t('Address'),
        '#description' => $this->t('Where tax and shipping amounts are asked from. Questions are signed with the secret of the events. Without an address, nobody is asked.'),
      ],
      'quote_timeout' => ['#step' => 0.1] + $this->number($this->t('Seconds that the checkout waits for an amount'), 0.1, 5, $this->t('For each question. When no answer came, nobody is asked for a minute.')),
      'quote_fresh' => $this->number($this->t('Seconds that an amount is fresh'), 0, 2592000, $this->t('For so long the same question is not asked again.')),
      'quote_usable' => $this->number($this->t('Seconds that an old amount is usable'), 0, 2592000, $this->t('For so long it is used when nobody answers.')),
      'tax' => [
        '#type' => 'checkbox',
        '#title' => $this->t('Take the tax of orders from outside'),
        '#description' => $this->t('It is added to the prices of every order: not for prices that include tax, and not together with tax types of Commerce. Shipping amounts are switched on by a shipping method of the kind "Waybill quote".'),
      ],
      'tax_fallback_percentage' => [
        '#type' => 'textfield',
        '#title' => $this->t('Tax in percent when nobody answers'),
        '#description' => $this->t('Of what the order costs without tax, shipping and promotions included. Used only when no usable amount is known; without one, such an order is sold without tax.'),
        '#size' => 8,
      ] + $this->visibleWhen('tax', TRUE),
    ];
  }

  /**
   * Reports an address that is missing, or that questions are not signed for.
   */
  private function validateEndpoint(FormStateInterface $form_state): void {
    $endpoint = trim((string) $form_state->getValue('quote_endpoint'));
    if ($endpoint === '' && $form_state->getValue('tax') && trim((string) $form_state->getValue('tax_fallback_percentage')) === '') {
      $form_state->setErrorByName('tax', $this->t('Tax from outside needs an address, or a percentage, or both.'));
    }
    $secret = (string) $this->config('commerce_waybill.settings')->get('secret');
    if ($endpoint !== '' && $this->secrets->mistake($secret) !== '') {
      $form_state->setErrorByName('quote_endpoint', $this->t('Questions cannot be signed: set the secret that signs events first, under "Connection".'));
    }
  }

  /**
   * Offers the number fields that a site added to variations.
   */
  private function numberFields(): array {
    $options = ['' => $this->t('None: stock is not looked at')];
    foreach ($this->fields->getFieldStorageDefinitions('commerce_product_variation') as $name => $field) {
      $is_number = in_array($field->getType(), ['integer', 'decimal', 'float'], TRUE) && $field->getCardinality() === 1;
      if ($is_number && $field->getProvider() !== 'commerce_product') {
        $options[$name] = $name;
      }
    }
    return $options;
  }

  /**
   * Builds a choice.
   */
  private function choice(mixed $title, array $options, mixed $description = NULL): array {
    return ['#type' => 'select', '#title' => $title, '#options' => $options, '#description' => $description];
  }

  /**
   * Builds a number.
   */
  private function number(mixed $title, int|float $min, int|float $max, mixed $description = NULL): array {
    return [
      '#type' => 'number',
      '#title' => $title,
      '#description' => $description,
      '#min' => $min,
      '#max' => $max,
      '#required' => TRUE,
    ];
  }

  /**
   * Shows an element only where it matters.
   */
  private function visibleWhen(string $name, string|bool $value): array {
    $condition = is_bool($value) ? ['checked' => $value] : ['value' => $value];
    return ['#states' => ['visible' => [":input[name=\"$name\"]" => $condition]]];
  }

}
